"""Errors of data, models and checkpoints; all are `policies.errors.KDPolicySearchError`."""

from __future__ import annotations

from policies.errors import KDPolicySearchError, nearest


class ConfigError(KDPolicySearchError):
    """A setting is unknown, of the wrong type or out of range."""


class DataError(KDPolicySearchError):
    """A data set cannot be found or read, or does not fit the settings."""


class ModelError(KDPolicySearchError):
    """A model is unknown, or does not fit the data or the teacher."""


class CheckpointError(KDPolicySearchError):
    """A checkpoint cannot be read, or belongs to something else."""


class ExportError(KDPolicySearchError):
    """A network cannot be written in another format, or what was written gives other outputs."""


__all__ = ["CheckpointError", "ConfigError", "DataError", "ExportError", "KDPolicySearchError", "ModelError", "nearest"]
