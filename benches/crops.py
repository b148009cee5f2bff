"""Random crops, and mirror images, of many images at once."""

import torch


def crops(images, chosen, shift, mirror, side):
    """Squares of so many pixels of the chosen ones of n x channels x height x width images.

    `shift` holds the top and the left of each, `mirror` whether left and right are exchanged.
    """
    along = torch.arange(side, device=images.device)
    row = shift[:, :1] + along
    column = shift[:, 1:] + torch.where(mirror[:, None], along.flip(0), along)
    channel = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return images[chosen[:, None, None, None], channel, row[:, None, :, None], column[:, None, None, :]]
