//! A data set small enough to be made in a test.

use std::{fs, path::Path};

/// Writes eighty 16 × 16 images of noise with labels, in the IDX format of MNIST.
pub fn write_idx(folder: &Path) {
    write_pixels(folder, |index| (index.wrapping_mul(2_654_435_761) >> 24) as u8);
}

/// The same with pixels by their number, 256 an image.
pub fn write_pixels(folder: &Path, pixel: impl Fn(u32) -> u8) {
    for (part, count) in [("train", 60u32), ("t10k", 20)] {
        let mut images = vec![0, 0, 8, 3];
        for extent in [count, 16, 16] {
            images.extend(extent.to_be_bytes());
        }
        images.extend((0..count * 256).map(&pixel));
        let mut labels = vec![0, 0, 8, 1];
        labels.extend(count.to_be_bytes());
        labels.extend((0..count).map(|index| (index % 10) as u8));
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}
