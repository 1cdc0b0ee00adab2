import pickle
import re

import pytest

from trainables.config import DataSettings, ModelSettings, TeacherSettings, TrainingSettings, TrialSettings
from trainables.errors import ConfigError
from trainables.models import check_model
from trainables.settings import identity_of

STUDENT = {"student": {"name": "mlp"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"epocs": 3}}, r"`training\.epocs` is not a known setting.*Did you mean 'epochs'"),
        ({"training": {"epochs": 0}}, r"`training\.epochs` should be greater than or equal to 1, but got 0"),
        ({"training": {"optimizer": "adamx"}}, r"`training\.optimizer` should be 'adam', 'adamw' or 'sgd'.*'adamx'"),
        ({"policy": {"family": "fxed"}}, r"`policy`: there is no policy family 'fxed'.*Did you mean 'fixed'"),
        ({"policy": {"parameters": {"weight": 2}}}, r"fixed\.weight.*in \[0, 1\].*got 2"),
        ({"student": "mlp"}, r"`student` should be a table of settings, but got 'mlp'"),
        ({"student": {"name": "mlp", "options": 3}}, r"`student\.options` should be a table of settings, but got 3"),
        ({"temperature": -1}, r"`temperature` should be greater than 0, but got -1"),
        ({"seeds": [1, 1]}, r"`seeds` must differ from one another, but got"),
        ({"temperature": float("nan")}, r"`temperature` should be a finite number"),
    ],
)
def test_a_wrong_setting_is_named_with_rule_and_value(changes, message):
    with pytest.raises(ConfigError, match=message):
        TrialSettings.parse(STUDENT | changes)


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    "setting",
    [
        "temperature",
        "evaluations",
        "seeds.0",
        "training.epochs",
        "training.learning_rate",
        "device.threads",
        "corruption.label_share",
        "policy.parameters.weight",
    ],
)
def test_true_and_false_are_no_numbers(setting, value):
    changes = value
    for part in reversed(setting.split(".")):
        changes = [changes] if part == "0" else {part: changes}
    if setting.startswith("corruption"):
        changes["corruption"]["unit"] = "batch"
    with pytest.raises(ConfigError, match=rf"{re.escape(setting)}.*number.*, but got {value}\."):
        TrialSettings.parse(STUDENT | changes)


def test_true_and_false_are_none_of_a_list_of_numbers():
    with pytest.raises(ConfigError, match=r"`channels` should be 1 or 3, but got True\."):
        DataSettings.parse({"name": "image-folder", "root": "x", "channels": True})
    model = ModelSettings(name="small-resnet", options={"stem_stride": True})
    with pytest.raises(ConfigError, match=r"`student.options.stem_stride` should be 1 or 2, but got True\."):
        check_model(model, "student")
    with pytest.raises(ConfigError, match=r"`student.options.hidden.0` should be a whole number, but got True\."):
        check_model(ModelSettings(name="mlp", options={"hidden": [True]}), "student")
    assert DataSettings.parse({"name": "image-folder", "root": "x", "channels": 3}).channels == 3


def test_true_and_false_are_what_they_are_where_they_are_asked_for():
    for value in (True, False):
        assert TrialSettings.parse(STUDENT | {"augmentation": {"flip": value}}).augmentation.flip is value
    with pytest.raises(ConfigError, match=r"`augmentation.flip` should be true or false, but got 'maybe'\."):
        TrialSettings.parse(STUDENT | {"augmentation": {"flip": "maybe"}})


def test_a_list_is_called_a_list():
    with pytest.raises(ConfigError, match=r"`seeds` should be a list, in brackets, but got 'all'\."):
        TrialSettings.parse(STUDENT | {"seeds": "all"})


def test_a_whole_number_serves_as_a_real_one():
    assert TrialSettings.parse(STUDENT | {"temperature": 2}).temperature == 2.0


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        TrialSettings.parse({"training": {"epocs": 1, "batch_size": 0}})
    assert len(str(caught.value).splitlines()) == 3
    assert "`student` is missing" in str(caught.value)


def test_a_teacher_has_exactly_one_origin():
    rule = "^exactly one of `checkpoint` and `training` must be given, but "
    for extra, found in (({}, "neither is"), ({"checkpoint": "x.pt", "training": {}}, "both are; remove one of them")):
        with pytest.raises(ConfigError, match=rf"{rule}{found}\.$"):
            TeacherSettings.parse({"model": {"name": "cnn"}} | extra)


def test_a_rule_on_several_settings_is_told_in_its_own_words():
    """The message names the section that it is about, but not all that stands there."""
    broken = {"unit": "batch", "teacher_share": 0.6, "label_share": 0.5}
    with pytest.raises(ConfigError) as caught:
        TrialSettings.parse(STUDENT | {"corruption": broken})
    assert str(caught.value) == (
        "`corruption`: `teacher_share` and `label_share` must add up to 1 at most, since no picture loses both, but got"
        " 0.6 and 0.5; lower one of them."
    )


def test_picture_settings_belong_to_image_folders():
    with pytest.raises(ConfigError, match="apply to 'image-folder' only, but `name` is 'digits'; remove them"):
        DataSettings.parse({"name": "digits", "image_size": 32})
    with pytest.raises(ConfigError, match="`root` must name the folder"):
        DataSettings.parse({"name": "image-folder"})


def test_settings_are_frozen():
    with pytest.raises(Exception, match="frozen"):
        TrialSettings.parse(STUDENT).temperature = 3


def test_keys_of_caches_stay_those_of_earlier_releases_until_a_later_setting_is_given():
    earlier = (
        *("epochs", "batch_size", "optimizer", "learning_rate", "weight_decay", "momentum", "schedule"),
        "label_smoothing",
    )
    assert tuple(identity_of(TrainingSettings())) == earlier
    assert set(identity_of(TrainingSettings(nesterov=False))) == {*earlier, "nesterov"}
    assert set(identity_of(TrainingSettings(schedule="multi_step", milestones=(3,)))) == {*earlier, "milestones"}
    wide = ModelSettings(name="wrn-16-1")
    assert identity_of(check_model(wide)) == {"dropout": 0.0}
    reading = ModelSettings(name="wrn-16-1", options={"shortcut_reads": "input"})
    assert identity_of(check_model(reading)) == {"dropout": 0.0, "shortcut_reads": "input"}


def test_settings_that_an_earlier_release_pickled_get_the_defaults_of_later_fields():
    stored = TrainingSettings(epochs=7)
    del stored.__dict__["nesterov"], stored.__dict__["milestones"]
    assert pickle.loads(pickle.dumps(stored)) == TrainingSettings(epochs=7)
