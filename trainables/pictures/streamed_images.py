"""Pictures on a device: all of them, or batches that are fetched from their file when they are asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.pictures.mapped_images import MappedImages
from trainables.pictures.normalization import as_tensor
from trainables.pictures.sets import Images


class StreamedImages:
    """Pictures in a file, indexed like a tensor uint8 [N, K, H, W] on `device`; only indexed pictures are read.

    For a GPU a batch goes through pinned memory, so that the copy runs beside the GPU's work.
    """

    def __init__(self, images: MappedImages, device: torch.device) -> None:
        self._images = images
        self._device = device
        self.shape = torch.Size(images.shape)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, places: slice | Tensor) -> Tensor:
        """Read the pictures at `places`: a slice, or int64 of any shape, best on the CPU."""
        every = torch.arange(len(self))[places] if isinstance(places, slice) else places.cpu()
        batch = torch.empty(every.numel(), *self.shape[1:], dtype=torch.uint8, pin_memory=self._device.type == "cuda")
        self._images.read_into(batch.numpy(), every.flatten().numpy())
        return batch.view(*every.shape, *self.shape[1:]).to(self._device, non_blocking=True)


StoredImages = Tensor | StreamedImages
"""Stored pictures, uint8 [N, K, H, W], to be indexed; the result is on the device."""


def on_device(images: Images, device: torch.device) -> StoredImages:
    """Prepare pictures for a device. Those in memory go there as a whole; on a CPU they are not copied."""
    return StreamedImages(images, device) if isinstance(images, MappedImages) else as_tensor(images).to(device)


def gather(images: StoredImages, places: Tensor, on_device: Tensor) -> Tensor:
    """Select some pictures, uint8 [B, K, H, W].

    Args:
        images: N of them.
        places: int64 [B], on the CPU.
        on_device: the same places on the pictures' device, so that neither waits for the other.
    """
    if isinstance(images, StreamedImages):
        return images[places]
    return images.index_select(0, on_device)  # five times faster than images[places] on a CPU
