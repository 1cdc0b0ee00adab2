import numpy as np
import pytest
import torch

from tests.trainables.tasks.task_data import data_of
from tests.trainables.tasks.task_files import HINTS, own
from trainables.config import ModelSettings, TrainingSettings, TrialSettings
from trainables.errors import ConfigError
from trainables.suggestion import apply_suggestion
from trainables.tasks import SearchedOptions, create_task, digest_of, options_read, read_sets
from trainables.training import Distillation

TASK = own(HINTS, "Hints")


def searched(task=TASK, *, listed=(), **ranges):
    lowest, highest = ({name: float(pair[place]) for name, pair in ranges.items()} for place in (0, -1))
    return SearchedOptions(task, lowest, highest, frozenset(listed))


def digest(task):
    return digest_of([(samples.inputs, samples.labels) for samples in read_sets(TASK, task)[:2]])


def test_options_that_a_method_reads_are_recorded():
    task = create_task(TASK)
    with options_read(task) as read:
        task.sets()
    assert read == {"rows"}
    with options_read(task) as read:
        task.model_dump()
    assert read == {"rows", "hint_weight", "dropout", "width", "layers", "slope"}
    with options_read(task) as read:
        pass
    assert read == set()
    assert type(task).__name__ == "Hints"


def test_an_unknown_option_is_named():
    with pytest.raises(ConfigError, match="`space.options.hint_wieght` is not a known setting.*'hint_weight'"):
        searched(hint_wieght=(1, 2)).check_values()


def test_a_value_that_the_task_refuses_is_named():
    with pytest.raises(ConfigError, match=r"`space.options.dropout` should be less than 1, but got 1.5"):
        searched(dropout=(0.0, 1.5)).check_values()


def test_whole_numbers_must_be_listed():
    with pytest.raises(ConfigError, match=r"`space.options.layers` must list its values.*choices = \[1, 3\]"):
        searched(layers=(1, 3)).check_values()
    searched(layers=(1, 3), listed=["layers"]).check_values()


def test_listed_whole_numbers_reach_options_of_type_int():
    task = own(HINTS.replace("layers: int = 1", "layers: int | None = None"), "Hints")
    assert create_task(task, layers=3.0).layers == 3
    assert isinstance(create_task(TASK, layers=2.0).layers, int)
    assert isinstance(create_task(TASK, hint_weight=2.0).hint_weight, float)
    with pytest.raises(ConfigError, match="must list its values"):
        searched(task, layers=(1, 3)).check_values()


def test_an_option_that_changes_the_sets_is_refused():
    task = create_task(TASK)
    with options_read(task) as read:
        read_sets(TASK, task)
    with pytest.raises(ConfigError, match=r"`space.options.rows` cannot be searched, since `sets`.* depends on it"):
        searched(rows=(100, 200)).check_unchanged(read, "sets", digest)
    searched(hint_weight=(1, 2)).check_unchanged(read, "sets", digest)


def test_an_option_that_is_read_without_effect_is_allowed():
    searched(hint_weight=(1, 2)).check_unchanged({"hint_weight"}, "sets", digest)


@pytest.mark.parametrize(("name", "ends"), [("width", (8, 12)), ("slope", (0.0, 0.5))])
def test_an_option_that_changes_the_network_is_refused(name, ends):
    train, *_ = read_sets(TASK, create_task(TASK))
    with pytest.raises(ConfigError, match=f"must not change the student's network, but with {name} = {ends[1]:g}"):
        searched(listed=[name], **{name: ends}).try_out({name: ends[0]}, train)


def test_options_that_are_read_by_losses_and_training_are_told():
    train, *_ = read_sets(TASK, create_task(TASK))
    read = searched(hint_weight=(0.1, 10), dropout=(0.0, 0.5)).try_out({}, train)
    assert {"hint_weight", "dropout"} <= read
    assert "layers" not in read


def test_a_loss_that_fails_at_an_end_is_told_with_the_values():
    train, *_ = read_sets(TASK, create_task(TASK))
    broken = own(HINTS.replace("return soft +", "assert self.hint_weight < 10\n        return soft +"), "Hints")
    message = r"`space.options` allows hint_weight = 10; with these values `distill_loss`.*line \d+.*AssertionError"
    with pytest.raises(ConfigError, match=message):
        searched(broken, hint_weight=(0.1, 10)).try_out({}, train)


def weights_of(data, base=None, **options):
    suggestion = {"family": "fixed", "fixed.weight": 0.5, **{f"options.{key}": value for key, value in options.items()}}
    settings = apply_suggestion(base or BASE, suggestion)
    distillation = Distillation(settings, data)
    for _ in distillation.records():
        pass
    return torch.cat([p.detach().flatten() for p in distillation.replicates[0].student.parameters()]), distillation


BASE = TrialSettings(
    student=ModelSettings(name=TASK.origin), training=TrainingSettings(epochs=2, batch_size=50), evaluations=1
)


@pytest.fixture(scope="module")
def data():
    return data_of(TASK)


def test_a_searched_option_reaches_losses_and_student(data):
    plain, _ = weights_of(data)
    heavy, distillation = weights_of(data, hint_weight=5.0)
    dropped, _ = weights_of(data, dropout=0.5)
    assert not torch.equal(plain, heavy)
    assert not torch.equal(plain, dropped)
    assert torch.equal(plain, weights_of(data, hint_weight=1.0)[0])
    assert distillation.history().policy["options"] == {"hint_weight": 5.0}


def test_metrics_are_measured_with_the_options_of_the_search_file(data):
    """Else an option could make the objective better by itself."""
    _, one = weights_of(data, hint_weight=1.0)
    student = one.replicates[0].student
    plain = data.validation.metrics(data.validation.logits(student))
    heavy = Distillation(apply_suggestion(BASE, {"family": "fixed", "options.hint_weight": 9.0}), data).data.validation
    assert heavy.metrics(heavy.logits(student)) == plain
    assert np.isfinite(plain["weighted"].value)


def test_a_student_of_other_options_has_their_losses(data):
    """`space.students.NAME.options` may hold an option that a loss reads."""
    base = BASE.model_copy(update={"student": ModelSettings(name=TASK.origin, options={"hint_weight": 5.0})})
    assert torch.equal(weights_of(data, base=base)[0], weights_of(data, hint_weight=5.0)[0])
