"""Measures the time to train a trial's replicates as one stacked model, against one after another.

    python benchmarks/members.py --write
    python benchmarks/members.py --seeds 1 5 10 20 --set evaluations=1 --set "student.options={ hidden = [128] }"

A whole trial of digits-quick (its students, their training, evaluations and records, but no Ray) is timed in both ways
in turn, by the process's own clock, with one thread. The ratio is the time apart over the time together, pair by pair.
The fixed cost of a stack, in seeds, is the intercept of a straight line through the times of stacks, over its slope.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import time

import torch
from results import conditions, write_section
from unreliable import prepare

from search.settings import default_cache, load_config
from trainables.config import DeviceSettings, PolicySettings, TrialSettings
from trainables.device import select_compute
from trainables.training import DeviceAssets, Distillation

FAMILIES = ("fixed", "norm_balance", "sample_norm_balance")
"""No measurement, one in every tenth step, and one λ a sample."""


def seconds(settings: TrialSettings, data: DeviceAssets) -> float:
    """Return the CPU seconds of a whole trial."""
    began = time.process_time()
    for _ in Distillation(settings, data).records():
        pass
    return time.process_time() - began


def pairs(settings: TrialSettings, data: DeviceAssets, count: int) -> list[tuple[float, float]]:
    """Return (apart, together) in seconds, `count` times after one pair that is not counted."""
    both = [
        settings.model_copy(update={"device": DeviceSettings(device="cpu", replicates=how)})
        for how in ("apart", "together")
    ]
    found = [(seconds(both[0], data), seconds(both[1], data)) for _ in range(count + 1)]
    return found[1:]


def row(family: str, seeds: int, found: list[tuple[float, float]], steps: int) -> str:
    """Return a row of the table: the ratio, and the time of a step of a single student in both ways."""
    low, middle, high = statistics.quantiles([apart / together for apart, together in found], n=4)
    apart, together = (1e6 * statistics.median(side) / steps / seeds for side in zip(*found, strict=True))
    return f"| `{family}` | {seeds} | {middle:.2f} [{low:.2f}, {high:.2f}] | {apart:.0f} | {together:.0f} |"


def beside(found: dict[int, float]) -> float:
    """Return what a stack costs beside its seeds, in seeds.

    Args:
        found: seconds by the number of seeds, for at least two numbers.
    """
    line = statistics.linear_regression(list(found), list(found.values()))
    return line.intercept / line.slope


def main() -> None:
    """Measure, print the table and write it to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="of trials, for each row")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 3, 5, 10], help="students of a trial")
    parser.add_argument("--set", action="append", default=[], help="a setting of the recipe, as in kd-search run")
    parser.add_argument(
        "--cache", type=pathlib.Path, default=default_cache(), help="teachers and data sets [%(default)s]"
    )
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = load_config("digits-quick", arguments.set)
    assets, _ = prepare(config, arguments.cache, with_test=False)
    data = DeviceAssets(assets, select_compute(DeviceSettings(device="cpu")))
    base = config.base_trial()
    steps = len(data) // base.training.batch_size * base.training.epochs
    rows = [
        "| rule | seeds | time apart / together | µs a step and seed, apart | together |",
        "| --- | --- | --- | --- | --- |",
    ]
    print(*rows, sep="\n", flush=True)
    costs = []
    for family in FAMILIES:
        stacks: dict[int, float] = {}
        for seeds in arguments.seeds:
            settings = base.model_copy(update={"policy": PolicySettings(family=family), "seeds": tuple(range(seeds))})
            found = pairs(settings, data, arguments.pairs)
            stacks[seeds] = statistics.median(together for _, together in found)
            rows.append(row(family, seeds, found, steps))
            print(rows[-1], flush=True)
        if len(stacks) > 1:
            costs.append(f"{beside(stacks):.1f} (`{family}`)")
    if costs:
        rows += ["", f"A stack costs its seeds and as much as this many more: {', '.join(costs)}."]
        print(*rows[-2:], sep="\n")
    if arguments.write:
        text = (
            f"`python benchmarks/members.py --write`, {conditions()}, one thread, CPU time of whole trials of"
            f" digits-quick ({', '.join(arguments.set) or 'an MLP 64-32-10, batches of 50'}, {base.training.epochs}"
            f" epochs, {base.evaluations} evaluations); {arguments.pairs} pairs. The last two columns hold everything,"
            " evaluations too.\n\n"
        )
        write_section("Replicates as one stacked model", text + "\n".join(rows))


if __name__ == "__main__":
    main()
