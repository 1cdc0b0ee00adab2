"""The project's errors.

KDPolicySearchError
├── PolicyError        a policy's family, parameter or file is wrong
├── (trainables.errors) ConfigError, DataError, ModelError, CheckpointError
└── (search.errors)     SearchError, TrackingError, ClusterError

Every message names the field, the rule it broke, the value found and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KDPolicySearchError(ValueError):
    """An error that the user can mend. The command line prints its message and exits with 2."""


class PolicyError(KDPolicySearchError):
    """A policy's family, parameter, file or use is wrong."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the known word nearest to `word`, or an empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""
