import copy
import itertools
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from trainables.config.trial import TrainingSettings
from trainables.training.optimization import create_optimizer, create_schedule

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("one_cycle", "cosine", "multi_step", "constant")


def settings(**values: Any) -> TrainingSettings:
    return TrainingSettings.parse({"learning_rate": 0.1, **values})


def learning_rates(schedule: str, total: int) -> list[float]:
    optimizer = create_optimizer([nn.Parameter(torch.zeros(1))], settings(optimizer="sgd", schedule=schedule))
    scheduler = create_schedule(optimizer, settings(schedule=schedule), total)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 3)).to(memory_format=torch.channels_last)


def train(network: nn.Module, optimizer: Any, scheduler: Any, steps: range) -> None:
    for step in steps:
        inputs = torch.rand(8, 2, 4, 4, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        network(inputs).square().mean().backward()
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("total", [1, 2, 3, 5, 10, 1000])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_learns_and_none_exceeds_the_peak(schedule: str, total: int) -> None:
    rates = learning_rates(schedule, total)
    assert all(1e-7 < rate <= 0.1 * (1 + 1e-12) for rate in rates)
    assert max(rates) > 0.05


def test_one_cycle_rises_to_the_peak_and_falls_to_almost_nothing() -> None:
    rates = learning_rates("one_cycle", 1000)
    peak = rates.index(max(rates))
    assert 298 <= peak <= 301
    assert max(rates) == pytest.approx(0.1, rel=1e-4)
    assert rates[0] == pytest.approx(0.1 / 25, rel=1e-3)
    assert rates[-1] < 1e-6
    assert all(a < b for a, b in itertools.pairwise(rates[:peak]))
    assert all(a > b for a, b in itertools.pairwise(rates[peak:]))


def test_one_cycle_follows_pytorchs() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=1000, cycle_momentum=False)
    rates = []
    for _ in range(1000):
        rates.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert learning_rates("one_cycle", 1000) == pytest.approx(rates, abs=1e-3)


def test_cosine_halves_at_the_middle() -> None:
    rates = learning_rates("cosine", 100)
    assert (rates[0], rates[50]) == (0.1, pytest.approx(0.05))
    assert rates == sorted(rates, reverse=True)


def test_multi_step_falls_tenfold_at_half_and_at_three_quarters() -> None:
    assert learning_rates("multi_step", 8) == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 2)


def test_constant_stays() -> None:
    assert learning_rates("constant", 4) == [0.1] * 4


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimisers_take_the_steps_of_pytorchs_plain_ones(optimizer: str) -> None:
    ours, theirs = model(), model()
    plain: dict[str, Any] = {"foreach": False, "fused": False, "lr": 0.1, "weight_decay": 0.02}
    reference: torch.optim.Optimizer = {
        "adam": lambda: torch.optim.Adam(theirs.parameters(), **plain),
        "adamw": lambda: torch.optim.AdamW(theirs.parameters(), **plain),
        "sgd": lambda: torch.optim.SGD(theirs.parameters(), momentum=0.8, nesterov=True, **plain),
    }[optimizer]()
    chosen = settings(optimizer=optimizer, weight_decay=0.02, momentum=0.8, schedule="constant")
    own = create_optimizer(ours.parameters(), chosen)
    for network, used in ((ours, own), (theirs, reference)):
        train(network, used, create_schedule(used, chosen, 5), range(5))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_sgd_without_momentum_is_allowed() -> None:
    optimizer = create_optimizer([nn.Parameter(torch.zeros(1))], settings(optimizer="sgd", momentum=0.0))
    assert optimizer.param_groups[0]["nesterov"] is False


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_training_equals_an_uninterrupted_one(optimizer: str, schedule: str, tmp_path: Any) -> None:
    chosen = settings(optimizer=optimizer, schedule=schedule, learning_rate=0.01)

    def begin() -> tuple[nn.Module, torch.optim.Optimizer, Any]:
        network = model()
        made = create_optimizer(network.parameters(), chosen)
        return network, made, create_schedule(made, chosen, 10)

    whole = begin()
    train(*whole, range(10))

    first = begin()
    train(*first, range(4))
    torch.save([copy.deepcopy(part.state_dict()) for part in first], tmp_path / "state.pt")

    resumed = begin()
    for part, state in zip(resumed, torch.load(tmp_path / "state.pt", weights_only=True), strict=True):
        part.load_state_dict(state)
    train(*resumed, range(4, 10))
    for ours, theirs in zip(resumed[0].parameters(), whole[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert resumed[1].param_groups[0]["lr"] == whole[1].param_groups[0]["lr"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimiser_does_not_bring_in_pytorchs_compiler(optimizer: str) -> None:
    code = f"""
import sys, torch
from trainables.config.trial import TrainingSettings
from trainables.training.optimization import create_optimizer, create_schedule
settings = TrainingSettings(optimizer={optimizer!r})
parameter = torch.nn.Parameter(torch.ones(3))
optimizer = create_optimizer([parameter], settings)
schedule = create_schedule(optimizer, settings, 2)
optimizer.zero_grad()
parameter.sum().backward()
optimizer.step()
schedule.step()
optimizer.load_state_dict(optimizer.state_dict())
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
