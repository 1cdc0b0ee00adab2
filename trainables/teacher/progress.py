"""The progress of a teacher's training, and two names that the modules of this package share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

MODEL_SECTION = "teacher.model"
"""The place of the teacher's model in a search file."""
COUNTER = "num_batches_tracked"
"""The ending of the names of batch normalisation's counters. Outputs do not depend on them, and old files lack them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherProgress:
    """The progress of a teacher's training. Sent once a second and after each epoch; once for a teacher kept."""

    epoch: float
    """The number of finished epochs, fractional."""
    epochs: int
    loss: float
    """Mean cross-entropy over this epoch so far, in nats."""
    accuracy: float
    """The accuracy on the training pictures over this epoch so far; of the last epoch when `cached`."""
    seconds: float
    """The seconds since the training began."""
    cached: bool
    """True if nothing had to be trained."""


TeacherListener = Callable[[TeacherProgress], None]
