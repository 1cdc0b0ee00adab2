"""What it costs the driver to keep MLflow up to date: a million metric points, from the thread that writes them.

    python benchmarks/mlflow_points.py --points 1000000 --write

Made-up trials with long curves end one after another, each written as the live projection writes it, into a new SQLite
store. CPU is the thread's own. A trial's price divided by 2 % is how often trials may end for MLflow to take no more
than that of the driver.
"""

from __future__ import annotations

import argparse
import datetime
import pathlib
import statistics
import tempfile
import time

from results import conditions, write_section

from search.config import load_config
from search.records import SearchRecord, TrialRecord
from search.tracking import LiveProjection
from search.tracking.projection import Projection
from trainables.records import EpochRecord, ReplicateResult, TracePoint, TrialHistory

EVALUATIONS, TRACE_POINTS = 100, 100
SHARE = 0.02
_BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def history() -> TrialHistory:
    """Curves as long as MLflow is ever given."""
    return TrialHistory(
        score=0.9,
        score_std=0.01,
        epochs=tuple(
            EpochRecord(
                epoch=epoch,
                train_task_loss=0.5,
                train_distill_loss=1.0,
                validation_loss=0.4,
                validation_accuracy=0.9,
                agreement=0.8,
                calibration_error=0.1,
                weight=0.5,
                seconds=1.0,
            )
            for epoch in range(1, EVALUATIONS + 1)
        ),
        trace=tuple(
            TracePoint(
                step=step,
                epoch=step / 10,
                weight=0.5,
                scale=1.0,
                cosine=0.3,
                norm_ratio=2.0,
                task_loss=0.5,
                distill_loss=1.0,
            )
            for step in range(TRACE_POINTS)
        ),
        replicates=(ReplicateResult(seed=0, validation_accuracy=0.9, validation_loss=0.4, agreement=0.8),) * 3,
        policy={"format": "kd-policy", "version": 1, "family": "fixed"},
    )


def trial(number: int, curves: TrialHistory) -> TrialRecord:
    """A finished one."""
    return TrialRecord(
        trial_id=f"{number:08x}",
        number=number,
        status="finished",
        family="fixed",
        parameters={"weight": 0.5},
        shared={"learning_rate": 0.01, "temperature": 4.0},
        rule="λ = 0.5",
        complexity=1,
        started=_BEGAN + datetime.timedelta(seconds=number),
        ended=_BEGAN + datetime.timedelta(seconds=number + 100),
        history=curves,
    )


class Metered(Projection):
    """Counts the CPU that each trial's writing takes."""

    seconds: list[float]

    def write_trials(self, search: SearchRecord, changed: set[str]) -> None:
        began = time.thread_time()
        super().write_trials(search, changed)
        self.seconds.append((time.thread_time() - began) / len(changed))


def section(points: int) -> str:
    """Write so many points; the section of the results."""
    curves, config = history(), load_config("digits-quick", ["training.epochs=100", "trace_points=100"])
    config = config.model_copy(update={"evaluations": EVALUATIONS})
    head = SearchRecord(name="points", config=config.model_dump(mode="json"), status="running", created=_BEGAN)
    with tempfile.TemporaryDirectory(prefix="kd-search-") as folder:
        store = pathlib.Path(folder, "mlflow.db")
        projection = Metered(f"sqlite:///{store}", "points")
        projection.seconds = []
        projection.write(head)
        trials: list[TrialRecord] = []
        while projection.tally.points < points:
            trials.append(trial(len(trials) + 1, curves))
            projection.write_trials(head.model_copy(update={"trials": tuple(trials)}), {trials[-1].trial_id})
        size = store.stat().st_size
        told = _told(head, trials[0])
    written, price = projection.tally.points, statistics.median(projection.seconds)
    tenth = max(1, len(trials) // 10)
    growth = statistics.median(projection.seconds[-tenth:]) / statistics.median(projection.seconds[:tenth])
    return "\n".join(
        (
            f"{written:,} points of {len(trials)} trials into an SQLite file of {size / 1e6:.0f} MB. {conditions()}.",
            "",
            "| | |",
            "| --- | --- |",
            f"| CPU of the thread a trial of {written // len(trials):,} points, ms | {1e3 * price:.0f} |",
            f"| the last tenth of the trials against the first | {growth:.2f} |",
            f"| seconds between two ends of trials for {SHARE:.0%} of the driver | {price / SHARE:.1f} |",
            f"| CPU of the main thread to tell a trial's news, µs | {1e6 * told:.0f} |",
        )
    )


def _told(head: SearchRecord, record: TrialRecord) -> float:
    """Seconds of the caller's CPU for an update, while the thread has nothing to do."""
    live = LiveProjection(head, "sqlite://", "points")  # never entered: its thread does not run
    began = time.thread_time()
    for _ in range(1000):
        live.update(record)
    return (time.thread_time() - began) / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help="into RESULTS.md, too")
    arguments = parser.parse_args()
    text = section(arguments.points)
    print(text)
    if arguments.write:
        write_section("MLflow's share of the driver", text)


if __name__ == "__main__":
    main()
