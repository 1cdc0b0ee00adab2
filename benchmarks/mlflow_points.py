"""Measures the cost of keeping MLflow up to date: a million metric points, of which the driver only sends records.

    python benchmarks/mlflow_points.py --points 1000000 --write

Made-up trials with long curves end one after another. MLflow's process writes each into a new SQLite store, as for the
live projection. CPU is given for the driver's thread that sends them, and for MLflow's process. The driver's CPU time
a trial, divided by 2 %, is the time between two ends of trials at which MLflow takes 2 % of the driver.
"""

from __future__ import annotations

import argparse
import datetime
import pathlib
import tempfile
import time

import psutil
from results import conditions, write_section

from search.records import SearchRecord, TrialRecord
from search.settings import load_config
from search.tracking import Begin, LiveProjection, MLflowProcess, RemoteProjection
from trainables.records import EpochRecord, ReplicateResult, TracePoint, TrialHistory

EVALUATIONS, TRACE_POINTS = 100, 100
SHARE = 0.02
_BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def history() -> TrialHistory:
    """Make curves as long as MLflow is ever given."""
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
    """Make a finished trial."""
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


def section(points: int) -> str:
    """Write so many points; return the section of the results."""
    curves, config = history(), load_config("digits-quick", ["training.epochs=100", "trace_points=100"])
    config = config.model_copy(update={"evaluations": EVALUATIONS})
    head = SearchRecord(name="points", config=config.model_dump(mode="json"), status="running", created=_BEGAN)
    with tempfile.TemporaryDirectory(prefix="kd-search-") as folder, MLflowProcess() as process:
        store = pathlib.Path(folder, "mlflow.db")
        begin = Begin(uri=f"sqlite:///{store}", experiment="points", read_decisions=None, confirmation=None)
        remote, there = RemoteProjection(begin, process), psutil.Process(process.pid)
        remote.write(head)
        trials: list[TrialRecord] = []
        driver, mlflow = [time.thread_time()], [_cpu(there)]
        while remote.points < points:
            trials.append(trial(len(trials) + 1, curves.model_copy(deep=True)))
            search = head.model_copy(update={"trials": tuple(trials)})
            began = time.thread_time()
            remote.write(search, {trials[-1].trial_id})
            driver.append(driver[-1] + time.thread_time() - began)
            mlflow.append(_cpu(there))
        size, resident = store.stat().st_size, there.memory_info().rss
        told = _told(head, trials[0])
        written = remote.points
    price, price_there = _mean(driver), _mean(mlflow)
    return "\n".join(
        (
            f"{written:,} points of {len(trials)} trials into an SQLite file of {size / 1e6:.0f} MB. {conditions()}.",
            "",
            "| | driver | MLflow's process |",
            "| --- | --- | --- |",
            f"| CPU a trial of {written // len(trials):,} points, ms | {1e3 * price:.2f} | {1e3 * price_there:.0f} |",
            f"| the last tenth of the trials against the first | {_growth(driver):.2f} | {_growth(mlflow):.2f} |",
            f"| seconds between two ends of trials for {SHARE:.0%} of the driver | {price / SHARE:.2f} | |",
            f"| CPU of the main thread to tell a trial's news, µs | {1e6 * told:.0f} | |",
            f"| resident memory at the end, MB | | {resident / 1e6:.0f} |",
        )
    )


def _cpu(process: psutil.Process) -> float:
    """Return the CPU seconds so far, in ticks of ten milliseconds."""
    times = process.cpu_times()
    return times.user + times.system


def _mean(clock: list[float]) -> float:
    """Return a trial's mean by a clock that was read before the first trial and after each."""
    return (clock[-1] - clock[0]) / (len(clock) - 1)


def _growth(clock: list[float]) -> float:
    tenth = max(1, len(clock) // 10)
    return _mean(clock[-1 - tenth :]) / _mean(clock[: 1 + tenth])


def _told(head: SearchRecord, record: TrialRecord) -> float:
    """Return the caller's CPU seconds for an update, while the thread has nothing to do."""
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
