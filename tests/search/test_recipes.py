import threading

import pytest
from PIL import Image

from search.prepare.preparation import load_checked, prepare, teach
from search.propose.space import build_space, completed
from search.recipes import recipe_names
from search.settings.search_file import load_config
from tests.search.tiny import QuietListener
from trainables.config.trial import DeviceSettings
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.errors import ConfigError
from trainables.suggestion import apply_suggestion
from trainables.training.data import DeviceAssets
from trainables.training.loop import Distillation

UNRELIABLE = [name for name in recipe_names() if name.startswith("unreliable-")]
SMALL = ["teacher.training.epochs=4", "training.epochs=3", "replicates=1", "evaluations=1", "trace_points=2"]


@pytest.mark.parametrize("name", UNRELIABLE)
def test_an_unreliable_recipe_breaks_three_tenths_of_each_source_for_every_family_alike(name):
    config = load_config(name)
    corruption = config.base_trial().corruption
    assert corruption is not None
    assert corruption == config.corruption
    assert corruption.unit == ("batch" if "batches" in name else "sample")
    assert (corruption.teacher_share, corruption.label_share) == (0.3, 0.3)


@pytest.mark.parametrize("name", UNRELIABLE)
def test_rules_of_an_unreliable_recipe_may_look_at_every_batch_by_itself(name):
    space = build_space(load_config(name))
    measuring = [family for family, variables in space.families.items() if "measure_every" in variables]
    assert measuring
    for family in measuring:
        assert space.families[family]["measure_every"].domain == 1
        assert space.families[family]["smoothing"].domain.choices == (0.0, 0.9)


@pytest.mark.parametrize("name", UNRELIABLE)
def test_an_unreliable_recipe_has_the_teacher_of_its_clean_counterpart(name):
    config, clean = load_config(name), load_config("digits-quick" if "digits" in name else "fashion-mnist")
    assert config.teacher == clean.teacher
    assert config.student == clean.student
    assert config.data.model_copy(update={"train_size": clean.data.train_size}) == clean.data


@pytest.mark.parametrize("name", [*(name for name in UNRELIABLE if "digits" in name), "unseen-classes-digits"])
def test_every_family_of_an_unreliable_recipe_trains_from_its_start(name, launch):
    config = load_config(name, SMALL)
    dataset = load_dataset(config.data, default_root=launch.data_root)
    prepared = teach(config, dataset, launch, lambda progress: None)
    data = DeviceAssets(prepared.assets, select_compute(DeviceSettings(device="cpu")))
    space = build_space(config)
    for family in config.families:
        values = completed({**space.shared, **space.own(family)}, {})
        trial = Distillation(apply_suggestion(config.base_trial(), {"family": family, **values}), data)
        *_, record = trial.records()
        assert record.validation_accuracy > 0.3, family
        assert trial.history().policy["family"] == family


def test_the_recipe_for_ones_own_pictures_trains_on_a_folder_of_them(launch, tmp_path):
    """The folder has pictures of two colours, which a teacher of a few steps tells apart, and a folder `val`."""
    for part, count in (("train", 40), ("val", 10), ("test", 2)):
        for name, colour in (("red", (200, 40, 40)), ("blue", (40, 40, 200))):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (80, 60), colour).save(tmp_path / part / name / f"{number}.png")
    config = load_config("image-folder", [*SMALL, f"data.root={tmp_path}", "teacher.augmentation.views=2"])
    listener = QuietListener()
    dataset = load_checked(config, launch, listener)
    assert "80 training, 20 validation, 4 test pictures of 32×32×3, 2 classes" in listener.stages
    prepared = teach(config, dataset, launch, lambda progress: None)
    assert prepared.assets.teacher_accuracy > 0.9
    data = DeviceAssets(prepared.assets, select_compute(DeviceSettings(device="cpu")))
    *_, record = Distillation(apply_suggestion(config.base_trial(), {"family": "fixed"}), data).records()
    assert record.validation_accuracy > 0.9


def test_the_foundation_changes_with_the_corruption(launch):
    def foundation(*overrides):
        config = load_config("unreliable-samples-digits", [*SMALL, *overrides])
        dataset = load_dataset(config.data, default_root=launch.data_root)
        return teach(config, dataset, launch, lambda progress: None).foundation

    whole = foundation()
    assert foundation("training.epochs=2") == whole
    assert foundation("corruption.seed=1") != whole
    assert foundation("corruption.label_share=0.2") != whole
    assert foundation("corruption.unit=batch") != whole


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.batch_size=1", "corruption.unit=batch"], r"`training\.batch_size` must be at least 2"),
        (["corruption.label_share=0.005"], r"`corruption\.label_share` must select no picture or at least two"),
    ],
)
def test_a_corruption_that_cannot_be_is_told_before_the_teacher_is_trained(overrides, message, launch):
    listener = QuietListener()
    with pytest.raises(ConfigError, match=message):
        prepare(load_config("unreliable-samples-digits", [*SMALL, *overrides]), launch, listener, threading.Event())
    assert listener.teacher_news == []
