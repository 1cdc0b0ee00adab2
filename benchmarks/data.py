"""Measures how fast an image folder is decoded and read, against a plain loop and against memory.

    python benchmarks/data.py                      # 8,000 JPEG files, 224×224×3: 1.2 GB decoded
    python benchmarks/data.py --pictures 20000 --write

1. The first start decodes the folder and keeps it. The second start finds the file; its time is until the data set is
   ready to train on.
2. Rate: CPU time a picture, in turn with a plain loop over torchvision's ImageFolder (Resize, CenterCrop, one process).
3. Batches: 64 pictures at random, from the file in turn with the same pictures in memory.

That all this needs less memory than the pictures is tested in `tests/trainables/pictures/test_mapped_images.py`.
"""

from __future__ import annotations

import io
import pathlib
import tempfile
import time
from collections.abc import Callable

import numpy as np
from PIL import Image
from scaffold import conditions, pairs, parser, publish, spread

from trainables.config import DataSettings
from trainables.datasets import decode, load_dataset
from trainables.pictures import Dataset, MappedImages

_DISTINCT = 100
_PAIRS = 7
_BATCH = 64


def make_pictures(root: pathlib.Path, count: int) -> None:
    """Write JPEG files of 500×375 pixels, some 60 KB each: a hundred different ones under `count` names."""
    random = np.random.default_rng(0)
    contents = []
    for _ in range(_DISTINCT):
        coarse = Image.fromarray(random.integers(256, size=(12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), dtype=float)
        file = io.BytesIO()
        grainy = (smooth + random.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(grainy).save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
    for index in range(count):
        path = root / f"class {index % 10}" / f"{index:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[index % _DISTINCT])


def loaded(settings: DataSettings, folder: pathlib.Path) -> tuple[Dataset, float, float]:
    """Return the data set, and the seconds (wall, CPU) until it is ready."""
    began, cpu = time.monotonic(), time.process_time()
    dataset = load_dataset(settings, default_root=folder, progress=print)
    return dataset, time.monotonic() - began, time.process_time() - cpu


def rate(root: pathlib.Path, size: int) -> str:
    """Return the ratio of torchvision's CPU time to ours: decoding alone, a hundred pictures in turn."""
    from torchvision import datasets, transforms

    plain = datasets.ImageFolder(root, transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size)]))

    def theirs() -> None:
        for index in range(_DISTINCT):
            np.asarray(plain[index][0])

    def ours() -> None:
        for path, _ in plain.samples[:_DISTINCT]:
            decode(path, size, 3)

    return spread([theirs / ours for ours, theirs in pairs(ours, {"": theirs}, _PAIRS)[""]])


def batches(mapped: Dataset) -> str:
    """Return the ratio of the file's CPU time to memory's: random batches of a part that fits into memory."""
    few = mapped.pool.subset(np.arange(min(2_000, len(mapped.pool))))
    if not isinstance(few.images, MappedImages):
        raise SystemExit("fewer pictures than stay in their file; ask for more --pictures")
    random = np.random.default_rng(0)

    def reader(images: MappedImages | np.ndarray) -> Callable[[], None]:
        def read() -> None:
            for places in random.permutation(len(few))[: 20 * _BATCH].reshape(-1, _BATCH):
                images[places]

        return read

    found = pairs(reader(few.in_memory().images), {"": reader(few.images)}, _PAIRS)[""]
    return spread([from_file / in_memory for in_memory, from_file in found])


def main() -> None:
    """Measure, print the results and write them if asked."""
    options = parser(__doc__, cache=False)
    options.add_argument("--pictures", type=int, default=8_000, help="files [8000]")
    options.add_argument("--size", type=int, default=224, help="pixels a side when decoded [224]")
    arguments = options.parse_args()
    count, size = arguments.pictures, arguments.size
    with tempfile.TemporaryDirectory(prefix="kd-data-") as name:
        folder = pathlib.Path(name)
        root = folder / "pictures"
        make_pictures(root, count)
        settings = DataSettings(name="image-folder", root=str(root), image_size=size, validation_size=500)
        _, wall, cpu = loaded(settings, folder)
        mapped, again, cpu_again = loaded(settings, folder)
        ratios = [f"{rate(root, pixels)} at {pixels} pixels" for pixels in sorted({64, 128, size})]
        lines = [
            f"- {count:,} JPEG files of 500×375 pixels, {count * 3 * size**2 / 1e9:.2f} GB decoded at {size}×{size}×3",
            f"- decoded and kept: {count / wall:.0f} pictures a second ({wall:.0f} s),"
            f" {1e3 * cpu / count:.2f} ms of CPU a picture",
            f"- CPU time of ImageFolder's loop ÷ ours, a picture: {', '.join(ratios)}",
            f"- second start, from the kept file: {again:.1f} s, {cpu_again:.2f} s of CPU",
            f"- CPU time of a batch of {_BATCH} at random, from the file ÷ from memory: {batches(mapped)}",
        ]
    publish("Data larger than memory", [*lines, "", conditions()], write=arguments.write)


if __name__ == "__main__":
    main()
