"""Values of tensors that wait in a file, so that they take no memory."""

from __future__ import annotations

import contextlib
import ctypes
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any

from ._filled import Filled, torch_tensor

if TYPE_CHECKING:
    import torch


@contextlib.contextmanager
def offloaded(module: torch.nn.Module) -> Iterator[None]:
    """Gives the memory of a module's state back until the block ends.

    Storages shrink to nothing and grow again, as FSDP has them do it, so that tensors and their views remain
    what they are. Memory of a GPU stays, and so does memory that other processes or libraries share.
    """
    storages = (tensor.untyped_storage() for tensor in module.state_dict().values())
    held = [
        (storage, storage.nbytes())
        for storage in {storage.data_ptr(): storage for storage in storages}.values()
        if storage.device.type == "cpu" and storage.resizable() and not storage.is_shared()
    ]
    with tempfile.TemporaryFile(prefix="weightsmith-") as file:
        for storage, _ in held:
            file.write(_bytes(storage))
        try:
            for storage, _ in held:
                storage.resize_(0)
            yield
        finally:
            file.seek(0)
            for storage, size in held:
                storage.resize_(size)
                file.readinto(_bytes(storage))


def _bytes(storage: torch.UntypedStorage) -> memoryview:
    """What a storage holds, to be read and written. An array of NumPy would fix its size."""
    return memoryview((ctypes.c_char * storage.nbytes()).from_address(storage.data_ptr()))


class StoredState:
    """A filled network's state dict in a file."""

    def __init__(self, filled: Filled, file: IO[bytes]) -> None:
        self.shapes = filled.shapes
        self._file = file
        self._entries: list[tuple[str, str, list[int], int]] = []

        def store(name: str, dtype: str, shape: list[int], values: bytearray) -> None:
            self._entries.append((name, dtype, shape, len(values)))
            file.write(values)

        filled._native.each(store)

    def each_tensor(self, take: Callable[[str, torch.Tensor], Any]) -> None:
        """As :meth:`Filled.each_tensor` does it."""
        self._file.seek(0)
        for name, dtype, shape, size in self._entries:
            take(name, torch_tensor(dtype, shape, bytearray(self._file.read(size))))
