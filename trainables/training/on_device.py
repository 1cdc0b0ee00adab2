"""Puts what trials share on a device: pictures, or the samples of a user's task."""

from __future__ import annotations

from trainables.device import Compute
from trainables.evaluation import ScoredSet
from trainables.pictures import Split, TrialAssets
from trainables.tasks import Samples, TaskAssets, Tree
from trainables.training.data import DeviceAssets
from trainables.training.task_data import TaskData


def scored_set(data: DeviceAssets | TaskData, samples: Split | Samples, teacher_outputs: Tree) -> ScoredSet:
    """Return a further set, such as the test set, to evaluate networks on."""
    if isinstance(data, TaskData):
        assert isinstance(samples, Samples)
        return data.evaluation_set(samples, teacher_outputs)
    assert isinstance(samples, Split)
    return data.evaluation_set(samples, teacher_outputs)


def data_on_device(assets: TrialAssets | TaskAssets, compute: Compute) -> DeviceAssets | TaskData:
    """Put what trials share on a device."""
    return TaskData(assets, compute) if isinstance(assets, TaskAssets) else DeviceAssets(assets, compute)
