"""Compares a search by this package with a plain Ray Tune script, as one is written in an afternoon.

    python benchmarks/whole_search.py --write
    python benchmarks/whole_search.py --recipe fashion-mnist --epochs 6 --rounds 3

Each is a process from its start to its end, with the teacher trained and cached before. The package runs 16 constants
and 16 policies of `norm_balance` under three seeds, and writes its report. The script trains the same 32 policies, at
the same learning rates and temperatures, under the same seeds for as many epochs: a function trainable around
`benchmarks/plain.py`, `OptunaSearch`, and `MLflowLoggerCallback` on an SQLite file. It reads the gradients at every
step; the package's rule reads them at every tenth or so, as the search chose.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from results import conditions, write_section

from search.settings import default_cache

FAMILIES = ("fixed", "norm_balance")
TRIALS = 32


def settings(epochs: int | None) -> list[str]:
    """Return the changes to the recipe for both: a schedule that the plain loop has, two families, and the epochs."""
    return [
        "name=product",
        f"families={json.dumps(FAMILIES)}",
        f"trials_per_family={TRIALS // len(FAMILIES)}",
        "training.schedule=one_cycle",
        "racing=false",  # the plain script trains every policy under all seeds
        *([] if epochs is None else [f"training.epochs={epochs}"]),
    ]


def run_product(recipe: str, epochs: int | None, folder: pathlib.Path, cache: pathlib.Path) -> float:
    """Return the seconds of `kd-search run`."""
    sets = [part for setting in settings(epochs) for part in ("--set", setting)]
    places = ["--output", str(folder), "--cache", str(cache)]
    return timed([sys.executable, "-m", "search", "run", recipe, *sets, *places])


def run_plain(
    recipe: str, epochs: int | None, folder: pathlib.Path, cache: pathlib.Path, points: pathlib.Path
) -> float:
    """Return the seconds of the plain script on the policies that the product tried."""
    epoch = [] if epochs is None else ["--epochs", str(epochs)]
    places = ["--folder", str(folder), "--cache", str(cache), "--points", str(points)]
    return timed([sys.executable, __file__, "--recipe", recipe, *epoch, *places])


def timed(command: list[str]) -> float:
    """Return the seconds that a command takes."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return time.monotonic() - began


def tried(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Return the policies of the product's search, as points of the plain script's space."""
    from search.store import SearchStore, read_search

    trials = read_search(SearchStore(str(folder), "product")).trials
    assert len(trials) == TRIALS
    assert all(trial.status == "finished" for trial in trials)
    return [
        {
            "family": trial.family,
            "weight": trial.parameters.get("weight", 0.5),
            "kappa": trial.parameters.get("balance", 1.0),
            **trial.shared,
        }
        for trial in trials
    ]


def train(point: dict[str, Any], *, base: Any, dataset: Any, teacher: Any) -> None:
    """Train a trial of the plain script: a student for each seed, one after another."""
    import plain
    import torch
    from ray import tune

    torch.set_num_threads(1)
    trial = base.model_copy(
        update={
            "training": base.training.model_copy(update={"learning_rate": point["learning_rate"]}),
            "temperature": point["temperature"],
        }
    )
    kappa = point["kappa"]
    rule = point["weight"] if point["family"] == "fixed" else (lambda _cosine, ratio: kappa / (kappa + ratio))

    def listen(epoch: plain.Epoch) -> None:
        tune.report({"accuracy": epoch.accuracy, "loss": epoch.loss, "epoch": epoch.epoch})

    scores = [plain.distil(trial, dataset, teacher, seed=seed, rule=rule, listen=listen) for seed in base.seeds]
    tune.report({"accuracy": statistics.fmean(scores), "loss": 0.0, "epoch": base.training.epochs})


def plain_search(
    recipe: str, epochs: int | None, folder: pathlib.Path, cache: pathlib.Path, points: pathlib.Path
) -> None:
    """Run the plain script."""
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search.optuna import OptunaSearch

    base, dataset, teacher = subject(recipe, epochs, cache)
    given = json.loads(points.read_text(encoding="utf-8"))
    space = {
        "family": tune.choice(list(FAMILIES)),
        "weight": tune.uniform(0.0, 1.0),
        "kappa": tune.loguniform(1e-3, 1e3),
        "learning_rate": tune.loguniform(1e-4, 1.0),
        "temperature": tune.choice(sorted({point["temperature"] for point in given})),
    }
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train, base=base, dataset=dataset, teacher=teacher), {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=len(given),
            search_alg=OptunaSearch(points_to_evaluate=given),
        ),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(folder),
            callbacks=[MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/plain.db", experiment_name="plain")],
        ),
    )
    results = tuner.fit()
    assert results.num_errors == 0
    print(results.get_best_result().metrics["accuracy"])


def subject(recipe: str, epochs: int | None, cache: pathlib.Path) -> tuple[Any, Any, Any]:
    """Return a trial's settings, data, and the teacher; the teacher is trained unless the cache has it."""
    from search.settings import load_config
    from trainables.datasets import load_dataset
    from trainables.device import select_compute
    from trainables.teacher import prepare_teacher

    config = load_config(recipe, settings(epochs))
    dataset = load_dataset(config.data, default_root=cache / "data")
    compute = select_compute(config.device)
    teacher = prepare_teacher(config.teacher, dataset, cache=cache / "teachers", compute=compute)
    return config.base_trial(), dataset, teacher.module


def compare(recipe: str, epochs: int | None, rounds: int, cache: pathlib.Path) -> str:
    """Run both in turn; return the section of the results."""
    subject(recipe, epochs, cache)
    found: list[tuple[float, float]] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="kd-search-") as name:
            folder = pathlib.Path(name)
            mine = functools.partial(run_product, recipe, epochs, folder, cache)
            seconds = mine()
            points = folder / "points.json"
            points.write_text(json.dumps(tried(folder)), encoding="utf-8")
            found.append((seconds, run_plain(recipe, epochs, folder, cache, points)))
        print(f"round {number + 1}: {found[-1][0]:.1f} s, plain {found[-1][1]:.1f} s", flush=True)
    ratios = sorted(plain / mine for mine, plain in found)
    product, plain = (statistics.median(times) for times in zip(*found, strict=True))
    return "\n".join(
        (
            f"{TRIALS} trials of three seeds, {conditions()}; {rounds} rounds in turn.",
            "",
            "| recipe | epochs | search, s | plain script, s | ratio |",
            "| --- | --- | --- | --- | --- |",
            f"| {recipe} | {'its own' if epochs is None else epochs} | {product:.0f} | {plain:.0f} |"
            f" {statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}) |",
        )
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="digits-quick", help="data, teacher and student")
    parser.add_argument("--epochs", type=int, help="of a training [the recipe's]")
    parser.add_argument("--rounds", type=int, default=5, help="pairs")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache())
    parser.add_argument("--write", action="store_true", help="into RESULTS.md, too")
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--points", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.points is not None:
        plain_search(arguments.recipe, arguments.epochs, arguments.folder, arguments.cache, arguments.points)
        return
    text = compare(arguments.recipe, arguments.epochs, arguments.rounds, arguments.cache)
    print(text)
    if arguments.write:
        write_section(f"A search against a plain Ray Tune script: {arguments.recipe}", text)


if __name__ == "__main__":
    main()
