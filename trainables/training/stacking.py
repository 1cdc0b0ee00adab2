"""Decides which students train as one stacked model. Imports no torch."""

from __future__ import annotations

from trainables.config import DeviceSettings, ModelSettings, TrainingSettings
from trainables.errors import ConfigError

_STACKABLE = frozenset({"mlp"})
"""Chains of linear layers and ReLU."""


def trains_stacked(student: ModelSettings, device: DeviceSettings, training: TrainingSettings) -> bool:
    """Tell whether the replicates of a trial of this student train as one stacked model.

    The number of seeds does not matter, because a student must not depend on the students beside it. A stack of one
    gives the same result, to the last bit, as a larger one. A stack has one weight decay.

    Raises:
        ConfigError: stacking is asked for where it is not possible.
    """
    able = student.name in _STACKABLE
    if device.replicates == "together" and able and not training.has_one_decay:
        raise ConfigError(
            "`device.replicates` must be 'auto' or 'apart' where `training.norm_weight_decay` or"
            " `training.bias_weight_decay` is given, but got 'together'; change it, or remove these."
        )
    if device.replicates == "together" and not able:
        raise ConfigError(
            f"`device.replicates` must be 'auto' or 'apart' for students {student.name!r}, which train only one"
            f" after another, but got 'together'; students that can be stacked: {', '.join(sorted(_STACKABLE))}."
        )
    return able and training.has_one_decay and device.replicates != "apart"
