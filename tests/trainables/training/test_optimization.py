import copy
import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from trainables.config.trial import TrainingSettings
from trainables.errors import ConfigError
from trainables.training.optimization import create_optimizer, create_schedule, parameter_groups

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("one_cycle", "cosine", "multi_step", "constant")


def settings(**values: Any) -> TrainingSettings:
    return TrainingSettings.parse({"learning_rate": 0.1, **values})


def learning_rates(schedule: str, total: int, **values: Any) -> list[float]:
    chosen = settings(optimizer="sgd", schedule=schedule, **values)
    optimizer = create_optimizer([nn.Parameter(torch.zeros(1))], chosen)
    scheduler = create_schedule(optimizer, chosen, total)
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


def by_epoch(rates: list[float], epochs: int) -> list[float]:
    """Return the learning rate of each epoch's first step."""
    return rates[:: len(rates) // epochs]


def of_pytorch(epochs: int, make: Callable[[torch.optim.Optimizer], Any]) -> list[float]:
    """Return the learning rate of each epoch under a scheduler of PyTorch that is stepped after every epoch."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler, rates = make(optimizer), []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("steps", [1, 7])
def test_milestones_are_those_of_pytorchs_multi_step(steps: int) -> None:
    marks = {"milestones": [60, 120, 160], "gamma": 0.2, "epochs": 200}
    theirs = of_pytorch(200, lambda made: lr_scheduler.MultiStepLR(made, [60, 120, 160], gamma=0.2))
    assert by_epoch(learning_rates("multi_step", 200 * steps, **marks), 200) == pytest.approx(theirs, rel=1e-12)


def test_a_milestone_is_passed_at_the_first_step_of_the_epoch_after_it() -> None:
    rates = learning_rates("multi_step", 240 * 3, epochs=240, milestones=[150, 180, 210])
    assert [round(rate, 12) for rate in rates[449:451]] == [0.1, 0.01]
    assert [round(rate, 12) for rate in rates[539:541]] == [0.01, 0.001]
    assert [round(rate, 12) for rate in rates[629:631]] == [0.001, 0.0001]


@pytest.mark.parametrize("steps", [1, 4])
def test_a_warm_up_and_cosine_by_epochs_are_those_of_torchvisions_references(steps: int) -> None:
    def theirs(optimizer: torch.optim.Optimizer) -> Any:
        warm_up = lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=5)
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, T_max=25)
        return lr_scheduler.SequentialLR(optimizer, [warm_up, cosine], milestones=[5])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, of its SequentialLR
        expected = of_pytorch(30, theirs)
    rates = learning_rates("cosine", 30 * steps, epochs=30, warm_up_epochs=5, schedule_per="epoch")
    assert by_epoch(rates, 30) == pytest.approx(expected, rel=1e-9)
    for first in range(0, 30 * steps, steps):
        assert len(set(rates[first : first + steps])) == 1
    smooth = learning_rates("cosine", 30 * steps, epochs=30, warm_up_epochs=5)
    assert by_epoch(smooth, 30) == pytest.approx(expected, rel=1e-9)
    assert len(set(smooth)) > len(set(rates)) or steps == 1


def test_milestones_count_the_warm_up() -> None:
    rates = learning_rates("multi_step", 20, epochs=10, milestones=[5], warm_up_epochs=2, warm_up_start=0.5)
    assert rates == pytest.approx([0.05, 0.0625, 0.075, 0.0875, *[0.1] * 6, *[0.01] * 10])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"milestones": [10]}, "`milestones` is of `schedule` = 'multi_step', but `schedule` is 'one_cycle'"),
        ({"gamma": 0.2, "schedule": "cosine"}, "`gamma` is of `schedule` = 'multi_step', but `schedule` is 'cosine'"),
        ({"warm_up_epochs": 3}, "`warm_up_epochs` must be 0 where `schedule` is 'one_cycle'.*got 3"),
        ({"warm_up_epochs": 30, "schedule": "cosine"}, "`warm_up_epochs` must be below `epochs`.*got 30 of 30"),
        ({"milestones": [20, 10], "schedule": "multi_step"}, r"rising numbers of epochs, but got \[20, 10\]"),
        ({"milestones": [], "schedule": "multi_step"}, r"one or more rising numbers of epochs, but got \[\]"),
        ({"milestones": [10, 30], "schedule": "multi_step"}, r"`milestones` must lie between.*got \[10, 30\]"),
        ({"milestones": [2], "warm_up_epochs": 3, "schedule": "multi_step"}, "the warm-up's 3 epochs and the last of"),
        ({"milestones": [0], "schedule": "multi_step"}, r"`milestones.0` should be greater than or equal to 1"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**values)


class Normalised(nn.Module):
    """A module of each kind: with and without biases, normalisations, and a weight that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 4, 3)
        self.batch, self.layer, self.group = nn.BatchNorm2d(4), nn.LayerNorm(4), nn.GroupNorm(2, 4)
        self.recurrent, self.attention = nn.GRU(4, 4), nn.MultiheadAttention(4, 2)
        self.head, self.tied = nn.Linear(4, 3), nn.Linear(4, 3, bias=False)
        self.tied.weight = self.head.weight


def decays(network: nn.Module, **values: Any) -> dict[str, float]:
    """Return the weight decay that an optimiser gives each parameter, by the parameter's name."""
    chosen = settings(optimizer="sgd", weight_decay=0.5, **values)
    optimizer = create_optimizer(parameter_groups(network, chosen), chosen)
    of = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(network.parameters()))
    return {name: of[id(parameter)] for name, parameter in network.named_parameters()}


def test_norms_and_biases_may_have_a_weight_decay_of_their_own() -> None:
    network = Normalised()
    assert set(decays(network).values()) == {0.5}
    found = decays(network, norm_weight_decay=0.0, bias_weight_decay=0.1)
    norms = {name for name in found if name.partition(".")[0] in ("batch", "layer", "group")}
    biases = {name for name in found if "bias" in name} - norms
    assert {name for name, decay in found.items() if decay == 0.0} == norms
    assert {name for name, decay in found.items() if decay == 0.1} == biases
    assert {"recurrent.bias_ih_l0", "attention.in_proj_bias", "head.bias"} <= biases
    only = decays(network, norm_weight_decay=0.0)
    assert {name for name, decay in only.items() if decay == 0.0} == norms


def test_groups_of_norms_are_those_of_torchvisions_references() -> None:
    from torchvision.ops._utils import split_normalization_params

    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False), nn.Flatten()
    )
    chosen = settings(weight_decay=0.5, norm_weight_decay=0.0)
    ours = {group["weight_decay"]: group["params"] for group in parameter_groups(network, chosen)}
    norms, others = split_normalization_params(network)
    assert {id(p) for p in ours[0.0]} == {id(p) for p in norms}
    assert {id(p) for p in ours[0.5]} == {id(p) for p in others}


def test_sgd_without_nesterov_takes_the_steps_of_pytorchs() -> None:
    ours, theirs = model(), model()
    chosen = settings(optimizer="sgd", weight_decay=0.02, momentum=0.8, schedule="constant", nesterov=False)
    own = create_optimizer(ours.parameters(), chosen)
    plain = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.8, weight_decay=0.02)
    for network, used in ((ours, own), (theirs, plain)):
        train(network, used, create_schedule(used, chosen, 5), range(5))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


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
    chosen = settings(optimizer=optimizer, schedule=schedule, learning_rate=0.01, bias_weight_decay=0.0)

    def begin() -> tuple[nn.Module, torch.optim.Optimizer, Any]:
        network = model()
        made = create_optimizer(parameter_groups(network, chosen), chosen)
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
