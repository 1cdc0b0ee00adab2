"""Seeds of a finalist that train as one: their groups, and that each seed is what it would be alone."""

import io
import itertools
import math
import pathlib

import pytest
import torch

from search.confirm.groups import LARGEST, Group, grouped, single
from search.confirm.store import Unit
from search.confirm.training import train_seeds
from search.prepare.test_pictures import prepare_ground
from search.records.confirmation import Finalist
from tests.search.tiny import QuietListener, tiny_config
from trainables.config.own_kpi import OwnKPI
from trainables.config.own_policy import OwnPolicy
from trainables.config.trial import CorruptionSettings
from trainables.device import select_compute
from trainables.records.objective import Objective
from trainables.training.data import DeviceAssets

SEEDS = (2, 3, 4, 5, 6)
KPI = '''
def worst_class(model, data):
    """Accuracy of the class that fares worst, on pictures with some noise."""
    import torch
    right = torch.cat([model(x + 0.3 * torch.randn_like(x)).argmax(1) for x in data.images]) == data.labels
    return min(right[data.labels == label].double().mean() for label in range(len(data.classes)))
'''
RULE = (pathlib.Path(__file__).parents[3] / "examples/my_rules.py").read_text(encoding="utf-8")


def units(finalists, seeds):
    """Return the units seed by seed."""
    return [Unit(f"f{number}", seed) for seed in range(seeds) for number in range(finalists)]


def sizes(groups):
    return [len(group.seeds) for group in groups]


def seconds(groups, slots, fixed):
    """Return the time until the last group ends, if a group takes the time of its seeds and `fixed` more."""
    free = [0.0] * slots
    for group in groups:
        free[free.index(min(free))] += fixed + len(group.seeds)
    return max(free)


@pytest.mark.parametrize(
    ("finalists", "seeds", "slots", "expected"),
    [
        (11, 10, 1, [10] * 11),
        (11, 10, 2, [10] * 10 + [5, 5]),  # both share the last finalist
        (11, 10, 4, [10] * 11),  # three rounds either way
        (2, 10, 2, [10, 10]),
        (1, 10, 2, [5, 5]),
        (1, 3, 8, [1, 1, 1]),
        (2, 12, 2, [6, 6, 6, 6]),  # even parts, not ten and two
        (0, 10, 2, []),
    ],
)
def test_groups_are_large_and_end_together(finalists, seeds, slots, expected):
    assert sizes(grouped(units(finalists, seeds), slots)) == expected


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 16, 1000])
@pytest.mark.parametrize("seeds", [1, 4, 10, 25])
@pytest.mark.parametrize("finalists", [1, 5, 11])
def test_every_training_is_in_one_group(finalists, seeds, slots):
    wanted = units(finalists, seeds)
    groups = grouped(wanted, slots)
    assert sorted(unit for group in groups for unit in group.units) == sorted(wanted)
    assert max(sizes(groups)) <= LARGEST


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize("seeds", [2, 5, 10])
@pytest.mark.parametrize("finalists", [1, 2, 5, 11])
@pytest.mark.parametrize("fixed", [6, 16])
def test_no_other_division_of_the_last_groups_would_end_sooner(fixed, finalists, seeds, slots):
    """`fixed` is a group's cost beside its seeds: for students of middling size, and for tiny ones."""
    wanted = units(finalists, seeds)
    end = seconds(grouped(wanted, slots), slots, fixed)
    assert end <= seconds(single(wanted), slots, fixed)
    for divided in range(finalists + 1):
        for parts in range(1, seeds + 1):
            cut = [Group("x", tuple(range(seeds)[part::parts])) for part in range(parts)]
            plan = [Group("x", tuple(range(seeds)))] * (finalists - divided) + cut * divided
            assert end <= seconds(plan, slots, fixed)


def test_what_is_left_of_a_confirmation_is_grouped_as_a_whole_one_is():
    left = [unit for unit in units(3, 20) if unit.finalist != "f1" or unit.seed >= 15]
    groups = grouped(left, 1)
    first, later = tuple(range(10)), tuple(range(10, 20))
    assert groups == [
        *(Group("f0", first), Group("f2", first)),
        *(Group("f0", later), Group("f2", later)),
        Group("f1", later[5:]),
    ]


@pytest.fixture(scope="module")
def ground(launch):
    """110 training pictures in batches of 50: the seed decides which 10 an epoch leaves out."""
    return prepare_ground(tiny_config("data.train_size=110"), launch, QuietListener())


@pytest.fixture
def data(ground):
    return DeviceAssets(ground.pictures.assets, select_compute(tiny_config().device))


def finalist(family, **parameters):
    return Finalist(
        key=family, role="rule", family=family, parameters=parameters, shared={"learning_rate": 0.02}, rule="",
        complexity=1, trial=None, search_score=None,
    )  # fmt: skip


def contents(trained):
    """Return all that is kept of a training but its time, and the student's parameters."""
    return (
        trained.result.model_dump(exclude={"seconds", "began"}),
        torch.load(io.BytesIO(trained.student), weights_only=True),
    )


def assert_same(ours, theirs):
    (result, student), (expected, other) = contents(ours), contents(theirs)
    assert repr(result) == repr(expected)
    assert list(student) == list(other)
    assert all(torch.equal(student[name], other[name]) for name in student)


def trained_both_ways(chosen, base, data, ground):
    """Train together, and each seed alone."""
    test = data.evaluation_set(ground.pictures.test, ground.pictures.test_targets)
    together = train_seeds(chosen, SEEDS, base, data, test)
    alone = [trained for seed in SEEDS for trained in train_seeds(chosen, (seed,), base, data, test)]
    return together, alone


def base(**update):
    return tiny_config("training.epochs=4").base_trial().model_copy(update=update)


@pytest.mark.parametrize("family", ["fixed", "norm_balance", "cosine_threshold", "sample_norm_balance", "gradnorm"])
@pytest.mark.parametrize(
    "corruption",
    [
        None,
        CorruptionSettings(unit="batch", teacher_share=0.5, label_share=0.5),
        CorruptionSettings(unit="sample", teacher_share=0.3, label_share=0.3),
    ],
    ids=["whole", "batches", "samples"],
)
def test_a_seed_in_a_group_is_what_it_is_alone(family, corruption, data, ground):
    together, alone = trained_both_ways(finalist(family), base(corruption=corruption), data, ground)
    assert [trained.result.seed for trained in together] == list(SEEDS)
    for ours, theirs in zip(together, alone, strict=True):
        assert_same(ours, theirs)
    assert len({contents(trained)[0]["test"]["loss"] for trained in together}) == len(SEEDS)
    traces = {trained.result.trace for trained in together}
    assert len(traces) == len(SEEDS)
    assert {len(trace) for trace in traces} == {5}


def test_figures_and_rules_of_the_users_own_are_each_seeds_own(data, ground):
    own = {
        "own_kpis": (OwnKPI(origin="mine.py:worst_class", source=KPI),),
        "own_policies": (OwnPolicy(origin="my_rules.py:AgreementRamp", source=RULE),),
    }
    together, alone = trained_both_ways(finalist("agreement_ramp", least=0.2), base(**own), data, ground)
    for ours, theirs in zip(together, alone, strict=True):
        assert_same(ours, theirs)
    assert len({trained.result.own_kpis["worst_class"] for trained in together}) > 1
    assert len({trained.result.validation_kpis["worst_class"] for trained in together}) > 1


@pytest.mark.parametrize("undefined", [math.nan, math.inf])
def test_a_student_without_a_finite_score_is_kept_with_what_it_has(undefined, data, ground):
    """The verdict drops its finalist. If the training failed each time, the confirmation would never finish."""
    source = f"def undefined(model, data):\n    return float('{undefined}')\n"
    own = base(own_kpis=(OwnKPI(origin="mine.py:undefined", source=source),), objective=Objective(name="undefined"))
    test = data.evaluation_set(ground.pictures.test, ground.pictures.test_targets)
    trained = train_seeds(finalist("fixed"), (2, 3), own, data, test)
    assert [str(one.result.validation_kpis["undefined"]) for one in trained] == 2 * [str(undefined)]
    assert all(one.result.test.accuracy > 0.3 for one in trained)


@pytest.mark.parametrize("family", ["fixed", "norm_balance"])
def test_what_the_guard_did_is_told_seed_by_seed(family, data, ground):
    """A broken output of the teacher occurs in the epochs whose batches hold its picture."""
    data.targets = data.targets.clone()
    data.targets[:, :20] = torch.nan
    together, alone = trained_both_ways(finalist(family), base(), data, ground)
    for ours, theirs in zip(together, alone, strict=True):
        assert_same(ours, theirs)
    assert all(trained.result.interventions for trained in together)


def test_the_parts_of_a_groups_seeds_cover_its_time_without_a_gap(data, ground):
    test = data.evaluation_set(ground.pictures.test, ground.pictures.test_targets)
    results = [trained.result for trained in train_seeds(finalist("fixed"), SEEDS, base(), data, test)]
    assert len({result.seconds for result in results}) == 1
    assert results[0].seconds > 0
    for one, other in itertools.pairwise(results):
        assert other.began == pytest.approx(one.began + one.seconds, abs=1e-4)
