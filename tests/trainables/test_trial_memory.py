"""A process that runs trial after trial keeps nothing of earlier ones."""

import gc
import weakref

import pytest
import torch

from trainables.trial import DistillationTrial


@pytest.fixture
def trial(assets, settings):
    """Return a trial as Tune reuses it, but without what Tune adds to it."""
    trial = object.__new__(DistillationTrial)
    training = settings.training.model_copy(update={"epochs": 1})
    base = settings.model_copy(update={"training": training, "evaluations": 1})
    trial.setup({"family": "fixed"}, base=base, assets=assets, report_seconds=0.0, checkpoint_seconds=1e9)
    return trial


def run(trial: DistillationTrial, folder: object) -> None:
    while not trial.step()["done"]:
        pass
    trial.save_checkpoint(str(folder))


def tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("replicates", ["together", "apart"])
def test_tensors_do_not_pile_up(trial, tmp_path, replicates):
    device = trial._base.device.model_copy(update={"replicates": replicates})
    trial._base = trial._base.model_copy(update={"device": device})
    counts = []
    for family in ("norm_balance", "tree", "sample_tree", "norm_balance", "fixed", "norm_balance"):
        trial.reset_config({"family": family})
        run(trial, tmp_path)
        if family == "norm_balance":
            counts.append(tensors())
    assert counts[0] == counts[1] == counts[2] > 0


def test_the_trial_before_is_gone_and_the_data_stay(trial, tmp_path):
    run(trial, tmp_path)
    before = [weakref.ref(thing) for thing in (trial._training, *trial._training.replicates)]
    data, place = trial._data, trial._data.images.data_ptr()
    trial.reset_config({"family": "norm_balance"})
    gc.collect()
    assert [ref() for ref in before] == [None] * 3
    assert trial._data is data
    assert trial._data.images.data_ptr() == place
