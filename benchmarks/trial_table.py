"""Trains many policies under many seeds and keeps the scores: the table that racing and samplers are judged on.

    python benchmarks/trial_table.py digits-quick
    python benchmarks/trial_table.py unreliable-batches-digits --rounds 40 --seeds 12
    python benchmarks/trial_table.py digits-quick --skip 20 --rounds 80 --seeds 2 --name digits-quick-wide
    python benchmarks/trial_table.py fashion-mnist --rounds 16 --seeds 8   # hours

A round is one policy of every family at one learning rate and temperature, as in a search, but drawn at random. The
first round has all defaults; the first rounds of `fixed` are the recipe's baselines. Each recipe has one CSV file in
`benchmarks/data/`, with these columns:

    family, round           from 0
    learning_rate, temperature
        parameters              the policy's, as JSON
        steps                   those of one training
    validation_S, test_S    accuracy under seed S, in [0, 1]

Rows that the file already has are not trained again, so a longer table extends a shorter one.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import json
import multiprocessing
import pathlib
from typing import Any, NamedTuple

import numpy as np
import optuna
import torch

from benchmarks.unreliable import prepare
from search.propose import build_space
from search.settings import SearchConfig, default_cache, load_config
from trainables.config import TrialSettings
from trainables.device import Compute, select_compute
from trainables.pictures import TrialAssets
from trainables.suggestion import apply_suggestion, policy_parameters
from trainables.training import DeviceAssets, Distillation

FOLDER = pathlib.Path(__file__).parent / "data"


class Entry(NamedTuple):
    """A policy of the table, as a searcher suggests it."""

    family: str
    round: int
    suggestion: dict[str, Any]


def entries(config: SearchConfig, rounds: int) -> list[Entry]:
    """Return the table's policies, round by round. The first rounds of a longer table are those of a shorter one."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = build_space(config)
    seeds = np.random.SeedSequence(config.seed).generate_state(len(config.families) + 1).tolist()
    shared = _study(seeds[0])
    studies = {family: _study(seed) for family, seed in zip(config.families, seeds[1:], strict=True)}
    found = []
    for turn in range(rounds):
        if turn == 0:
            shared.enqueue_trial(space.start_shared())
        common = space.suggest_shared(shared.ask())
        for family in config.families:
            given = space.start(family) if turn == 0 else {}
            given |= {name: value for name, value in common.items() if space.shared[name].varies}
            if family == "fixed" and turn < len(config.baselines):
                given |= {"fixed.weight": config.baselines[turn]}
            studies[family].enqueue_trial(given)
            trial = studies[family].ask()
            found.append(Entry(family, turn, {"family": family, **space.suggest(trial, family)}))
    return found


def _study(seed: int) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


class _Bench(NamedTuple):
    base: TrialSettings
    data: DeviceAssets
    test: DeviceAssets


_bench: _Bench | None = None


def begin_worker(base: TrialSettings, assets: TrialAssets, test: TrialAssets, compute: Compute) -> None:
    """Set up a worker's process; called once in each."""
    global _bench
    torch.set_num_threads(1)
    _bench = _Bench(base, DeviceAssets(assets, compute), DeviceAssets(test, compute))


def train(entry: Entry) -> dict[str, Any]:
    """Train one row, in a worker's process."""
    assert _bench is not None
    settings = apply_suggestion(_bench.base, entry.suggestion)
    trial = Distillation(settings, _bench.data)
    for _ in trial.records():
        pass
    row: dict[str, Any] = {
        "family": entry.family,
        "round": entry.round,
        "learning_rate": settings.training.learning_rate,
        "temperature": settings.temperature,
        "parameters": json.dumps(policy_parameters(entry.suggestion)),
        "steps": trial.replicates[0].total_steps,
    }
    row |= {f"validation_{r.seed}": round(r.validation_accuracy, 6) for r in trial.results}
    for replicate in trial.replicates:
        replicate.data = _bench.test
        row[f"test_{replicate.seed}"] = round(replicate.evaluate().scores.accuracy, 6)
    return row


def main() -> None:
    """Train what the file lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="a recipe's name or a search file")
    parser.add_argument("--rounds", type=int, default=40, help="policies a family")
    parser.add_argument("--skip", type=int, default=0, help="rounds, of these, that are left out at the beginning")
    parser.add_argument("--name", help="of the table [the recipe's]")
    parser.add_argument("--seeds", type=int, default=12, help="trainings a policy")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument(
        "--cache", type=pathlib.Path, default=default_cache(), help="teachers and data sets [%(default)s]"
    )
    arguments = parser.parse_args()

    config = load_config(arguments.recipe, [*arguments.set, f"replicates={arguments.seeds}", "evaluations=1"])
    path = FOLDER / f"trials-{arguments.name or config.name}.csv"
    there: set[tuple[str, int]] = set()
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            there = {(row["family"], int(row["round"])) for row in csv.DictReader(file)}
    asked = entries(config, arguments.rounds)[arguments.skip * len(config.families) :]
    wanted = [entry for entry in asked if (entry.family, entry.round) not in there]
    torch.set_num_threads(1)
    assets, test = prepare(config, arguments.cache, with_test=True)
    assert test is not None
    FOLDER.mkdir(exist_ok=True)
    with (
        concurrent.futures.ProcessPoolExecutor(
            arguments.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=begin_worker,
            initargs=(config.base_trial(), assets, test, select_compute(config.device)),
        ) as pool,
        path.open("a", encoding="utf-8", newline="") as file,
    ):
        for count, row in enumerate(pool.map(train, wanted), start=1):
            writer = csv.DictWriter(file, fieldnames=list(row))
            if not there and count == 1:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            print(f"\r{count}/{len(wanted)}", end="", flush=True)
    print(f"\n{path}")


if __name__ == "__main__":
    main()
