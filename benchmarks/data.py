"""Measures how fast an image folder is decoded, found again and read, if it is larger than the memory allowed.

    python benchmarks/data.py                      # 8,000 JPEG files, 224×224×3: 1.2 GB decoded
    python benchmarks/data.py --pictures 20000 --write

1. Decoding: a process whose private memory may grow by --limit MiB (RLIMIT_DATA; pages of mapped files do not count, as
   the system can drop them) decodes the folder; then the same process reads it into memory, which must fail.
2. Rate: CPU time a picture, in turn with a plain loop over torchvision's ImageFolder (Resize, CenterCrop, one process).
3. Second start: the time until the data set is ready to train on, from the file that the first start wrote.
4. Batches: 64 pictures at random, from the file in turn with the same pictures in memory; and from the file when the
   system has dropped its pages.
5. Search: `kd-search run` on the folder, four trials of a small network.
"""

from __future__ import annotations

import argparse
import io
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

os.environ.setdefault("OMP_NUM_THREADS", "1")

from results import conditions, write_section

from trainables.config import DataSettings
from trainables.datasets import decode, load_dataset
from trainables.pictures import IMAGES_FILE, Dataset, MappedImages

_MIB = 2**20
_DISTINCT = 100
_PAIRS = 7
_BATCH = 64


def main() -> None:
    """Measure, print the results and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8_000, help="files [8000]")
    parser.add_argument("--size", type=int, default=224, help="pixels a side when decoded [224]")
    parser.add_argument("--limit", type=int, default=256, help="MiB of private memory beside what is imported [256]")
    parser.add_argument(
        "--folder", type=pathlib.Path, help="where the files are made and kept; else removed at the end"
    )
    parser.add_argument("--no-search", action="store_true")
    parser.add_argument("--write", action="store_true", help="also into RESULTS.md")
    parser.add_argument("--decode-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.folder or pathlib.Path(tempfile.mkdtemp(prefix="kd-data-"))
    settings = DataSettings(
        name="image-folder", root=str(folder / "pictures"), image_size=options.size, validation_size=500
    )
    if options.decode_only:
        decode_within(settings, folder, options.limit)
        return
    try:
        make_pictures(folder / "pictures", options.pictures)
        text = measure(settings, folder, options)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    print(text)
    if options.write:
        write_section("Data larger than memory", text)


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
        if not path.exists():
            path.write_bytes(contents[index % _DISTINCT])


def decode_within(settings: DataSettings, folder: pathlib.Path, limit: int) -> None:
    """Decode under the limit, then check that the decoded pictures do not fit into memory; needs its own process."""
    import sklearn.model_selection  # noqa: F401  imported before the limit is set

    allowed = private_memory() + limit * _MIB
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    began, cpu = time.monotonic(), time.process_time()
    dataset = load_dataset(settings, default_root=folder, progress=lambda text: print(text, file=sys.stderr))
    spent = time.monotonic() - began, time.process_time() - cpu
    if not isinstance(dataset.pool.images, MappedImages):
        raise SystemExit("fewer pictures than stay in their file; ask for more --pictures")
    try:
        dataset.pool.in_memory()
    except MemoryError:
        print(*spent, private_memory("VmHWM") / _MIB)
    else:
        raise SystemExit("the limit does not work: all pictures fit into memory")


def measure(settings: DataSettings, folder: pathlib.Path, options: argparse.Namespace) -> str:
    """Measure all parts and return them as Markdown."""
    total = options.pictures * 3 * options.size**2
    command = [sys.executable, __file__, "--decode-only", "--folder", str(folder)]
    command += ["--pictures", str(options.pictures), "--size", str(options.size), "--limit", str(options.limit)]
    shutil.rmtree(folder / "decoded", ignore_errors=True)
    first = [float(word) for word in subprocess.run(command, check=True, capture_output=True).stdout.split()]
    second = [float(word) for word in subprocess.run(command, check=True, capture_output=True).stdout.split()]
    ratios = [f"{rate(settings, size)} at {size} pixels" for size in sorted({64, 128, options.size})]
    mapped = load_dataset(settings, default_root=folder)
    rows = [
        f"- {options.pictures:,} JPEG files of 500×375 pixels, {total / 1e9:.2f} GB decoded at {options.size}×"
        f"{options.size}×3; {options.limit} MiB of private memory allowed beside what is imported,"
        f" {total / _MIB / options.limit:.1f} times less. In memory: MemoryError.",
        f"- decoded and kept: {options.pictures / first[0]:.0f} pictures a second ({first[0]:.0f} s),"
        f" {first[1] / options.pictures * 1e3:.2f} ms of CPU a picture",
        f"- CPU time of ImageFolder's loop ÷ ours, a picture: {', '.join(ratios)}",
        f"- second start, from the kept file: {second[0]:.1f} s, {second[1]:.2f} s of CPU",
        *batches(mapped, folder),
    ]
    if not options.no_search:
        rows.append(search(settings, folder))
    return "\n".join([*rows, "", conditions()])


def rate(settings: DataSettings, size: int) -> str:
    """Return the ratio of torchvision's CPU time to ours: decoding alone, a hundred pictures in turn."""
    from torchvision import datasets, transforms

    plain = datasets.ImageFolder(
        settings.root or "", transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size)])
    )
    paths = [path for path, _ in plain.samples]
    step = max(1, len(paths) // _PAIRS)

    def theirs(first: int) -> None:
        for index in range(first, first + _DISTINCT):
            np.asarray(plain[index % len(paths)][0])

    def ours(first: int) -> None:
        for index in range(first, first + _DISTINCT):
            decode(paths[index % len(paths)], size, 3)

    ours(0), theirs(0)
    return spread([cpu_of(theirs, n * step) / cpu_of(ours, n * step) for n in range(_PAIRS)])


def batches(mapped: Dataset, folder: pathlib.Path) -> list[str]:
    """Read random batches of a part that fits into memory, from the file and from memory in turn."""
    few = np.arange(min(2_000, len(mapped.pool)))
    from_file, in_memory = mapped.pool.subset(few).images, mapped.pool.subset(few).in_memory().images
    random = np.random.default_rng(0)
    orders = [random.permutation(few)[: 20 * _BATCH].reshape(-1, _BATCH) for _ in range(2 * _PAIRS)]

    def read(images: object) -> Callable[[int], None]:
        def run(number: int) -> None:
            for places in orders[number]:
                images[places]  # type: ignore[index]

        return run

    read(from_file)(0), read(in_memory)(0)
    ratios = [cpu_of(read(from_file), n) / cpu_of(read(in_memory), n) for n in range(_PAIRS)]
    path = next((folder / "decoded").glob(f"*/{IMAGES_FILE}"))
    del from_file
    seconds = []
    for number in range(_PAIRS):
        fresh = load_again(mapped, few)
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.monotonic()
        read(fresh)(number)
        seconds.append((time.monotonic() - began) / len(orders[0]) * 1e3)
    return [
        f"- CPU time of a batch of {_BATCH} at random, from the file ÷ from memory: {spread(ratios)}",
        f"- a batch of {_BATCH} when none of it is in the page cache: {statistics.median(seconds):.0f} ms of wall time",
    ]


def load_again(mapped: Dataset, few: np.ndarray) -> MappedImages:
    """Map the same pictures anew, so that no page is held."""
    images = mapped.pool.images
    assert isinstance(images, MappedImages)
    return MappedImages(images.folder, images.rows[few])


def search(settings: DataSettings, folder: pathlib.Path) -> str:
    """Run a short search through the command line."""
    overrides = [
        "name=large", "replicates=1", "trials_per_family=4", 'families=["fixed"]', "training.epochs=1", "evaluations=1",
        "teacher.training.epochs=1", "teacher.model.name=mlp", "teacher.model.options={}", "student.options.hidden=[8]",
        "data.name=image-folder", f"data.root={settings.root}", f"data.image_size={settings.image_size}",
        "data.train_size=1000", "data.validation_size=500",
    ]  # fmt: skip
    command = [sys.executable, "-m", "search", "run", "digits-quick"]
    command += [word for override in overrides for word in ("--set", override)]
    places = ["--output", str(folder / "runs"), "--cache", str(folder / "cache"), "--data-root", str(folder)]
    shutil.rmtree(folder / "runs", ignore_errors=True)
    began = time.monotonic()
    done = subprocess.run([*command, *places], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return f"- a search of four trials on it, with its teacher: {time.monotonic() - began:.0f} s"


def cpu_of(work: Callable[[int], None], number: int) -> float:
    """Return the CPU seconds of `work(number)`."""
    began = time.process_time()
    work(number)
    return time.process_time() - began


def private_memory(name: str = "VmData") -> int:
    """Return the memory of this process in bytes: the field `name` of /proc/self/status."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def spread(values: list[float]) -> str:
    """Return the median and the middle half as text."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.2f} [{low:.2f} to {high:.2f}]"


if __name__ == "__main__":
    main()
