"""The settings of a transfer: a pilot's finalists trained under the settings of another search file."""

from __future__ import annotations

import pydantic

from trainables.settings import Settings


class TransferSettings(Settings):
    """Settings of a transfer, which are those of its options on the command line."""

    seeds: int = pydantic.Field(5, ge=2, le=1000)
    """The number of fresh seeds, the same for every finalist."""
    rules: int = pydantic.Field(4, ge=0, le=100)
    """The most rules of the pilot that are trained, the best first."""
    retuned: int = pydantic.Field(2, ge=0, le=100)
    """The most rules that are also trained at the learning rate and temperature of the best constant at scale. The
    pilot's choice comes first."""
    constants: int = pydantic.Field(12, ge=0, le=1000)
    """The most constants λ that are tried at scale, to find the best one there; 0 to re-tune none."""
    from_scaled: tuple[str, ...] = ()
    """Settings whose values the scaled search file gives, though the pilot searched them: `learning_rate`, …"""
    smallest_gain: float | None = pydantic.Field(None, gt=0)
    """The smallest gain that is worth a change, as in `ConfirmationSettings`; by default the scaled file's."""
