"""Compares a search by this package with a plain Ray Tune script, as one is written in an afternoon.

    python benchmarks/whole_search.py --write
    python benchmarks/whole_search.py --recipe fashion-mnist --epochs 6 --rounds 3

Each is a process from its start to its end, with the teacher trained and cached before. The package runs 16 policies of
`norm_balance` and up to 16 constants under three seeds, and writes its report. The script trains the same policies, at
the same learning rates and temperatures, under the same seeds for as many epochs: a function trainable around the plain
loop of `benchmarks/trial.py`, `OptunaSearch`, and `MLflowLoggerCallback` on an SQLite file. It reads the gradients at
every step; the package's rule reads them at every tenth or so, as the search chose.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from scaffold import conditions, parser, prepare, publish, spread, table

from search.settings import SearchConfig, load_config

FAMILIES = ("fixed", "norm_balance")
MOST = 16
"""Policies of each; constants end sooner if the best one is bracketed."""


def settings(epochs: int | None) -> list[str]:
    """Return the changes to the recipe for both: a schedule that the plain loop has, two families, and the epochs."""
    return [
        "name=product",
        f"families={json.dumps(FAMILIES)}",
        f"trials_per_family={MOST}",
        f"constant.most_trials={MOST}",
        "training.schedule=one_cycle",
        "racing=false",  # the plain script trains every policy under all seeds
        *([] if epochs is None else [f"training.epochs={epochs}"]),
    ]


def timed(*command: str) -> float:
    """Return the seconds that Python takes for a command."""
    began = time.monotonic()
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=env)
    return time.monotonic() - began


def tried(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Return the policies of the product's search, as points of the plain script's space."""
    from search.store import SearchStore, read_search

    trials = read_search(SearchStore(str(folder), "product")).trials
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
    import torch
    from ray import tune
    from trial import distil

    torch.set_num_threads(1)
    training = base.training.model_copy(update={"learning_rate": point["learning_rate"]})
    trial = base.model_copy(update={"training": training, "temperature": point["temperature"]})
    kappa = point["kappa"]
    rule = point["weight"] if point["family"] == "fixed" else (lambda _cosine, ratio: kappa / (kappa + ratio))
    scores = [distil(trial, dataset, teacher, seed=seed, rule=rule, listen=tune.report) for seed in base.seeds]
    tune.report({"accuracy": statistics.fmean(scores), "loss": 0.0, "epoch": base.training.epochs})


def plain_search(config: SearchConfig, folder: pathlib.Path, cache: pathlib.Path) -> None:
    """Run the plain script on the points that the folder holds."""
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search.optuna import OptunaSearch

    ray.init("local")  # it must not join a cluster that happens to run here
    dataset, teacher, _ = prepare(config, cache)
    given = json.loads((folder / "points.json").read_text(encoding="utf-8"))
    trainable = tune.with_parameters(train, base=config.base_trial(), dataset=dataset, teacher=teacher.module)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={
            "family": tune.choice(list(FAMILIES)),
            "weight": tune.uniform(0.0, 1.0),
            "kappa": tune.loguniform(1e-3, 1e3),
            "learning_rate": tune.loguniform(1e-4, 1.0),
            "temperature": tune.choice(sorted({point["temperature"] for point in given})),
        },
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


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--recipe", default="digits-quick", help="data, teacher and student")
    options.add_argument("--epochs", type=int, help="of a training [the recipe's]")
    options.add_argument("--rounds", type=int, default=5, help="pairs")
    options.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    recipe, changes = arguments.recipe, settings(arguments.epochs)
    config = load_config(recipe, changes)
    if arguments.folder is not None:
        plain_search(config, arguments.folder, arguments.cache)
        return
    prepare(config, arguments.cache)
    found: list[tuple[float, float]] = []
    points: list[dict[str, Any]] = []
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="kd-search-") as name:
            folder, cache = pathlib.Path(name), ["--cache", str(arguments.cache)]
            sets = [word for change in changes for word in ("--set", change)]
            product = timed("-m", "search", "run", recipe, *sets, "--output", name, *cache)
            points = tried(folder)
            (folder / "points.json").write_text(json.dumps(points), encoding="utf-8")
            epochs = [] if arguments.epochs is None else ["--epochs", str(arguments.epochs)]
            plain = timed(__file__, "--recipe", recipe, *epochs, "--folder", name, *cache)
        found.append((product, plain))
        print(f"round {number + 1}: {product:.1f} s, plain {plain:.1f} s", flush=True)
    times = [f"{statistics.median(seconds):.0f}" for seconds in zip(*found, strict=True)]
    ratio = spread([plain / product for product, plain in found])
    row = [recipe, str(arguments.epochs or "its own"), *times, ratio]
    publish(
        f"A search against a plain Ray Tune script: {recipe}",
        [
            f"{len(points)} trials of three seeds, {conditions()}; {arguments.rounds} rounds in turn.",
            "",
            *table(["recipe", "epochs", "search, s", "plain script, s", "ratio"], [row]),
        ],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
