"""Measures what a training of a user's task costs, against a plain loop of the same networks.

    python benchmarks/task.py --write

The task is `examples/tokens.py`: sequences with a mask. The plain loop takes its batches from a `DataLoader` of a
`TensorDataset`, asks the teacher at every batch and evaluates once. All train the same student for as many steps with
the same optimiser on one thread, in turns, and are compared by CPU time. Two of them ask the teacher at every step, as
for a task that augments its inputs.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import torch
from scaffold import conditions, pairs, parser, publish, spread, table
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from policies import distillation_loss
from search.prepare import prepare
from search.records import Listener
from search.settings import Launch, SearchConfig, load_config
from trainables.config import PolicySettings
from trainables.device import select_compute
from trainables.tasks import IGNORED, TaskAssets, create_task, pack_teacher
from trainables.training import Distillation, data_on_device

LIVE = """

class Live(Tokens):
    def augment(self, batch):
        return batch
"""
EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "tokens.toml"
WEIGHT = 0.5


def plain(config: SearchConfig, assets: TaskAssets, teacher: nn.Module) -> Callable[[], None]:
    """Return a training by a loop as one writes it."""
    train, validation = (
        TensorDataset(*(torch.tensor(part) for part in (samples.inputs, samples.labels)))
        for samples in (assets.train, assets.validation)
    )
    task, training = create_task(assets.task), config.training

    def losses(student: nn.Module, codes: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            answers = teacher(codes)
        logits, counted = student(codes), kinds != IGNORED
        distill = distillation_loss(logits[counted], answers[counted], config.temperature)
        return WEIGHT * distill + (1 - WEIGHT) * nn.functional.cross_entropy(logits[counted], kinds[counted])

    def work() -> None:
        torch.manual_seed(0)
        student = task.student()
        batches = DataLoader(train, training.batch_size, shuffle=True, drop_last=True)
        optimizer = torch.optim.AdamW(student.parameters(), lr=training.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.learning_rate, total_steps=training.epochs * len(batches), cycle_momentum=False
        )
        for _ in range(training.epochs):
            for codes, kinds in batches:
                optimizer.zero_grad()
                losses(student, codes, kinds).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            for codes, kinds in DataLoader(validation, 256):
                losses(student, codes, kinds)

    return work


def own(config: SearchConfig, data: Any, policy: PolicySettings) -> Callable[[], None]:
    """Return a training by the search's loop."""
    settings = config.base_trial().model_copy(update={"policy": policy, "seeds": (0,), "evaluations": 1})

    def work() -> None:
        for _ in Distillation(settings, data).records():
            pass

    return work


def _asked_at_every_step(config: SearchConfig, assets: TaskAssets) -> Any:
    """Return the same data, of a task whose teacher is asked at every step."""
    own_task = assets.task.model_copy(update={"origin": "tokens.py:Live", "source": assets.task.source + LIVE})
    teacher = create_task(own_task).teacher()
    assert isinstance(teacher, nn.Module)
    live = dataclasses.replace(assets, task=own_task, teacher=pack_teacher(own_task, teacher))
    return data_on_device(live, select_compute(config.device))


def main() -> None:
    """Time all in turns, print the table and, if asked, write it to RESULTS.md."""
    import threading

    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--epochs", type=int, default=3)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    config = load_config(str(EXAMPLE), [f"training.epochs={arguments.epochs}", "device.device=cpu"])
    launch, ready = Launch.on_this_machine(pathlib.Path("runs"), arguments.cache, "benchmark"), threading.Event()
    assets = prepare(config, launch, Listener(), ready).assets
    assert isinstance(assets, TaskAssets)
    data = data_on_device(assets, select_compute(config.device))
    asked = _asked_at_every_step(config, assets)
    teacher = create_task(assets.task).teacher()
    assert isinstance(teacher, nn.Module)
    contenders = {
        "constant λ": PolicySettings(family="fixed", parameters={"weight": WEIGHT}),
        "rule, gradients every 10th step (the default)": PolicySettings(family="norm_balance"),
    }
    found = pairs(
        plain(config, assets, teacher.eval()),
        {name: own(config, data, policy) for name, policy in contenders.items()}
        | {f"{name}, teacher asked at every step": own(config, asked, p) for name, p in contenders.items()},
        arguments.rounds,
    )
    rows = [[name, spread([mine / theirs for theirs, mine in each])] for name, each in found.items()]
    publish(
        "A training of a task",
        [
            f"`examples/tokens.toml`, {arguments.epochs} epochs, {arguments.rounds} rounds; {conditions()}. The time"
            " of a plain loop with a live teacher is 1.",
            "",
            *table(["training", "CPU time"], rows),
        ],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
