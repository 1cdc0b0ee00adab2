"""Measures the time to train a trial's replicates as one stacked model, against one after another.

    python benchmarks/members.py --write
    python benchmarks/members.py --seeds 1 5 10 20 --set evaluations=1 --set "student.options={ hidden = [128] }"

A whole trial of digits-quick (its students, their training, evaluations and records, but no Ray) is timed in both ways
in turn, by the process's own clock, with one thread. The ratio is the time apart over the time together, pair by pair.
The fixed cost of a stack, in seeds, is the intercept of a straight line through the times of stacks, over its slope.
"""

from __future__ import annotations

import functools
import statistics

import torch
from scaffold import conditions, pairs, parser, prepare, publish, spread, table

from search.settings import load_config
from trainables.config import DeviceSettings, PolicySettings, TrialSettings
from trainables.device import select_compute
from trainables.training import DeviceAssets, Distillation

FAMILIES = ("fixed", "norm_balance", "sample_norm_balance")
"""No measurement, one in every tenth step, and one λ a sample."""


def train(settings: TrialSettings, data: DeviceAssets) -> None:
    """Run a whole trial."""
    for _ in Distillation(settings, data).records():
        pass


def main() -> None:
    """Measure, print the table and write it to the results."""
    options = parser(__doc__)
    options.add_argument("--pairs", type=int, default=5, help="of trials, for each row")
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 3, 5, 10], help="students of a trial")
    options.add_argument("--set", action="append", default=[], help="a setting of the recipe, as in kd-search run")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    config = load_config("digits-quick", arguments.set)
    _, _, assets = prepare(config, arguments.cache)
    data = DeviceAssets(assets, select_compute(DeviceSettings(device="cpu")))
    base = config.base_trial()
    steps = len(data) // base.training.batch_size * base.training.epochs
    rows, costs = [], []
    for family in FAMILIES:
        stacks: list[float] = []
        for seeds in arguments.seeds:
            settings = base.model_copy(update={"policy": PolicySettings(family=family), "seeds": tuple(range(seeds))})
            apart, together = (
                functools.partial(
                    train,
                    settings.model_copy(update={"device": DeviceSettings(device="cpu", replicates=how)}),
                    data,
                )
                for how in ("apart", "together")
            )
            found = pairs(apart, {"together": together}, arguments.pairs)["together"]
            middle = [statistics.median(side) for side in zip(*found, strict=True)]
            stacks.append(middle[1])
            each = [f"{1e6 * seconds / steps / seeds:.0f}" for seconds in middle]
            rows.append([f"`{family}`", str(seeds), spread([one / other for one, other in found]), *each])
            print(*rows[-1], flush=True)
        if len(stacks) > 1:
            line = statistics.linear_regression(arguments.seeds, stacks)
            costs.append(f"{line.intercept / line.slope:.1f} (`{family}`)")
    head = (
        f"`python benchmarks/members.py --write`, {conditions()}, one thread, CPU time of whole trials of digits-quick"
        f" ({', '.join(arguments.set) or 'an MLP 64-32-10, batches of 50'}, {base.training.epochs} epochs,"
        f" {base.evaluations} evaluations); {arguments.pairs} pairs. The last two columns hold everything, evaluations"
        " too."
    )
    columns = ["rule", "seeds", "time apart / together", "µs a step and seed, apart", "together"]
    fixed = f"A stack costs its seeds and as much as this many more: {', '.join(costs)}." if costs else ""
    publish("Replicates as one stacked model", [head, "", *table(columns, rows), "", fixed], write=arguments.write)


if __name__ == "__main__":
    main()
