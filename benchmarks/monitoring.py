"""Measures the monitor: its alarms in undisturbed and in disturbed trainings, and its cost.

    python benchmarks/monitoring.py --write docs/monitoring.md
    python benchmarks/monitoring.py --cost --write docs/monitoring.md

The trainings are those of `examples/monitoring.py`, under several rules. Ranges are computed from some undisturbed
trainings, as a confirmation does, and judged on all others. This is repeated with other trainings. A disturbance comes
after half of the training.
"""

from __future__ import annotations

import argparse
import importlib.util
import pathlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import scaffold
import torch
from step import CASES, Case

from policies import LossBalancer, create_policy
from policies.monitoring import JsonLines, Monitor, Sink, TensorBoard
from policies.monitoring.ranges import ConfirmedRanges
from policies.monitoring.windows import WINDOWS
from search.evidence.statistics.prediction import prediction_ranges
from trainables.memory import keep_freed_memory
from trainables.models import create_model
from trainables.records import Conduct
from trainables.training import ConductLog

RULES: dict[str, dict[str, Any]] = {
    "fixed": {"weight": 0.7},
    "norm_balance": {},
    "norm_ratio_threshold": {"measure_every": 1, "tier": "logit"},
    "sample_norm_balance": {},
    "loss_ratio": {},
}
CONFIRMED = (5, 10, 20)
"""The numbers of trainings that ranges are computed from."""
EPOCHS = 80
_ENOUGH = 0.5


class Recorder:
    """Notes the steps of one training, as a trial does."""

    def __init__(self, total_steps: int) -> None:
        self._log = ConductLog(total_steps)
        self.note = self._log.note

    def conduct(self) -> Conduct:
        """Return the record of the whole training."""
        found = self._log.conduct()
        assert found is not None  # the training has ended
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        return self._log.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self._log.load_state_dict(state)


def example() -> Any:
    """Import `examples/monitoring.py`."""
    folder = pathlib.Path(__file__).parents[1] / "examples"
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("monitored_example", folder / "monitoring.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(module: Any, data: Any, family: str, drift: str, seeds: Sequence[int]) -> list[Conduct]:
    """Train under a rule once for each seed, and return what was read."""
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        student = module.network(16)
        steps = module.total_steps(data, EPOCHS)
        balancer = LossBalancer(create_policy(family, dict(RULES[family])), student, total_steps=steps)
        recorder = Recorder(steps)
        balancer.attach(recorder)
        module.train(balancer, student, data, EPOCHS, drift)
        found.append(recorder.conduct())
    return found


def first_outside(ranges: ConfirmedRanges, conduct: Conduct, windows: range) -> int | None:
    """Return the first window, of those given, in which a reading is outside its range; None if none is."""
    for window in windows:
        for name, confirmed in ranges.readings.items():
            if name not in conduct.readings:
                continue
            value, count = conduct.readings[name].means[window], conduct.readings[name].counts[window]
            low, high = confirmed.low[window], confirmed.high[window]
            if value is None or low is None or high is None or count < _ENOUGH * confirmed.observations:
                continue
            if not low <= value <= high:
                return window
    return None


class Found(NamedTuple):
    """The shares of trainings with an alarm, and how many windows after the disturbance it came in the median."""

    false: float
    false_sets: int
    detected: dict[str, tuple[float, float | None]]


def judge(calm: Sequence[Conduct], disturbed: dict[str, list[Conduct]], confirmed: int, sets: int) -> Found:
    """Compute ranges from `confirmed` of the undisturbed trainings and judge the others, `sets` times."""
    order = random.Random(0)
    everywhere, later = range(WINDOWS), range(WINDOWS // 2, WINDOWS)
    rung = looked = 0
    windows: dict[str, list[int | None]] = {name: [] for name in disturbed}
    for _ in range(sets):
        mixed = order.sample(list(calm), len(calm))
        ranges = prediction_ranges(mixed[:confirmed])
        assert ranges is not None  # there are enough of them
        rung += sum(first_outside(ranges, one, everywhere) is not None for one in mixed[confirmed:])
        looked += len(mixed) - confirmed
        for name, conducts in disturbed.items():
            windows[name] += [first_outside(ranges, one, later) for one in conducts]
    detected = {}
    for name, firsts in windows.items():
        rang = [window - WINDOWS // 2 + 1 for window in firsts if window is not None]
        detected[name] = len(rang) / len(firsts), statistics.median(rang) if rang else None
    return Found(rung / looked, sets, detected)


def alarms(rules: Sequence[str], calm_seeds: int, disturbed_seeds: int, sets: int) -> list[str]:
    """Return the table of false and right alarms."""
    module = example()
    torch.manual_seed(0)
    data = module.prepared()
    drifts = [name for name in module.DRIFTS if name != "none"]
    rows = []
    for family in rules:
        calm = recorded(module, data, family, "none", range(1000, 1000 + calm_seeds))
        disturbed = {name: recorded(module, data, family, name, range(9000, 9000 + disturbed_seeds)) for name in drifts}
        for confirmed in CONFIRMED:
            found = judge(calm, disturbed, confirmed, sets)
            cells = [
                f"{share:.0%}" + ("" if delay is None else f", {delay:g}") for share, delay in found.detected.values()
            ]
            rows.append([f"`{family}`", str(confirmed), f"{found.false:.2%}", *cells])
            print(rows[-1], flush=True)
    head = ["rule", "confirmed trainings", "undisturbed", *(name.replace("-", " ") for name in drifts)]
    return [
        *scaffold.table(head, rows),
        "",
        f"{calm_seeds} undisturbed and {disturbed_seeds} trainings of each disturbance under each rule, {sets} draws of"
        f" the confirmed ones. {scaffold.conditions()}",
    ]


def cost_of(case: Case, make: Any, rounds: int) -> list[float]:
    """Return the CPU time of a monitored step over that of the same step without a monitor, A B A B."""
    torch.manual_seed(0)
    images = torch.randn(case.batch, *case.shape)
    teacher, labels = torch.randn(case.batch, case.classes), torch.randint(case.classes, (case.batch,))
    runs = []
    for monitored in (False, True):
        torch.manual_seed(0)
        student = create_model(case.model, image_shape=case.shape, classes=case.classes)
        optimizer = torch.optim.SGD(student.parameters(), lr=0.01)
        balancer = LossBalancer(create_policy("norm_balance"), student, total_steps=10**6)
        if monitored:
            Monitor(balancer, to=make())

        def steps(student: Any = student, optimizer: Any = optimizer, balancer: Any = balancer) -> float:
            began = time.process_time()
            for _ in range(case.steps):
                optimizer.zero_grad()
                balancer.backward_on_logits(student(images), teacher, labels)
                optimizer.step()
            return time.process_time() - began

        runs.append(steps)
    plain, watched = runs
    ratios = []
    for turn in range(rounds + 1):
        a, b = plain(), watched()
        if turn:
            ratios.append(b / a)
    return ratios


def costs(rounds: int) -> list[str]:
    """Return the table of costs."""
    keep_freed_memory()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        kinds: dict[str, Any] = {"no sink": tuple, "a file": lambda: JsonLines(place / "log.jsonl")}
        kinds["TensorBoard"] = lambda: TensorBoard(place / "board")
        kinds["MLflow (sqlite)"] = lambda: _mlflow(place)
        for case in (CASES[0], CASES[1]):
            rows.append([str(case), *(scaffold.spread(cost_of(case, make, rounds)) for make in kinds.values())])
            print(rows[-1], flush=True)
    return [*scaffold.table(["step", *kinds], rows), "", f"{rounds} rounds. {scaffold.conditions()}"]


def _mlflow(place: pathlib.Path) -> Sink:
    import mlflow

    from policies.monitoring import MLflowRun

    uri = f"sqlite:///{place}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("cost")
    number = experiment.experiment_id if experiment else client.create_experiment("cost", str(place / "artifacts"))
    return MLflowRun(client.create_run(number).info.run_id, tracking_uri=uri)


def main() -> None:
    """Measure, print, and write into a page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cost", action="store_true", help="measure the cost instead")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--calm", type=int, default=200)
    parser.add_argument("--disturbed", type=int, default=30)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", type=pathlib.Path, help="the page whose table is written anew")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.cost:
        name, lines = "cost", costs(arguments.rounds)
    else:
        name, lines = "alarms", alarms(arguments.rules, arguments.calm, arguments.disturbed, arguments.sets)
    text = "\n".join(lines)
    print(text)
    if arguments.write:
        page = arguments.write.read_text(encoding="utf-8")
        before, _, rest = page.partition(f"<!-- {name} -->")
        _, _, after = rest.partition(f"<!-- /{name} -->")
        arguments.write.write_text(f"{before}<!-- {name} -->\n\n{text}\n\n<!-- /{name} -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
