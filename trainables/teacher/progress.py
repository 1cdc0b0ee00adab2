"""How far a teacher's training is, and two names that all who prepare a teacher share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

MODEL_SECTION = "teacher.model"
"""Where its model stands in a search file."""
COUNTER = "num_batches_tracked"
"""How the names of batch normalisation's counters end. They have no part in outputs, and old files lack them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherProgress:
    """How far a teacher's training is. Sent once a second and after each epoch; once for a teacher kept."""

    epoch: float
    """Epochs finished, fractional."""
    epochs: int
    loss: float
    """Mean cross-entropy over this epoch so far, in nats."""
    accuracy: float
    """On the training pictures over this epoch so far; of the last epoch when `cached`."""
    seconds: float
    """Since the training began."""
    cached: bool
    """Whether nothing had to be trained."""


TeacherListener = Callable[[TeacherProgress], None]
