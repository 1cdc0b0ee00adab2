"""Which students train as one stacked model. Imports no torch."""

from __future__ import annotations

from trainables.config import DeviceSettings, ModelSettings
from trainables.errors import ConfigError

_STACKABLE = frozenset({"mlp"})
"""Chains of linear layers and ReLU."""


def trains_stacked(student: ModelSettings, device: DeviceSettings) -> bool:
    """Whether the replicates of a trial of this student train as one stacked model.

    Told by the student alone, not by how many seeds there are, since a stack of one gives to the last bit what a larger
    one gives: a student must not depend on its company.

    Raises:
        ConfigError: it is asked for where it cannot be.
    """
    able = student.name in _STACKABLE
    if device.replicates == "together" and not able:
        raise ConfigError(
            f"`device.replicates` must be 'auto' or 'apart' for students {student.name!r}, which train one after"
            f" another only, but got 'together'; students that can be stacked: {', '.join(sorted(_STACKABLE))}."
        )
    return able and device.replicates != "apart"
