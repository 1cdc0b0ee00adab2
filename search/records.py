"""One search as plain data: what Tune's storage says, in the form that MLflow and the report are made from."""

from __future__ import annotations

import datetime
from typing import Any, Literal

import pydantic

from policies.parameter import Value
from trainables.objective import Objective
from trainables.records import TrialHistory
from trainables.settings import Settings

_OBJECTIVE = {"name": "objective", "direction": "direction"}
"""Field -> where the search file has it."""

TrialStatus = Literal["pending", "running", "finished", "failed"]


class TrialRecord(Settings):
    """One trial of a search."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    trial_id: str
    number: int
    """From 1, in the order in which they were suggested."""
    status: TrialStatus
    family: str
    parameters: dict[str, Value]
    """The policy's parameters, without its family's prefix; all of them, also those not searched."""
    shared: dict[str, float | int]
    """What is searched alike for every family: `learning_rate`, `temperature`."""
    rule: str
    """The policy's rule in words."""
    complexity: int
    baseline: bool = False
    """Whether this is one of the known constants that are always tried."""
    started: datetime.datetime | None = None
    ended: datetime.datetime | None = None
    error: str | None = None
    """The last line of what went wrong, for a failed trial."""
    history: TrialHistory = TrialHistory()
    folder: str = ""
    """Of its checkpoints, inside the search's folder."""

    @property
    def score(self) -> float | None:
        """Mean over the replicates of what is searched for, higher being better; None unless finished."""
        return self.history.score if self.status == "finished" else None


class SearchRecord(Settings):
    """One search: its settings, what it stands on, and its trials."""

    name: str
    config: dict[str, Any]
    """The resolved search file."""
    teacher_accuracy: float | None = None
    """On the validation pictures."""
    teacher_parameters: int | None = None
    foundation: str = ""
    """Changes with the data and the teacher."""
    created: datetime.datetime | None = None
    status: Literal["running", "finished", "stopped"] = "running"
    trials: tuple[TrialRecord, ...] = ()

    @property
    def objective(self) -> Objective:
        """What is searched for."""
        return Objective.parse(
            {name: self.config[key] for name, key in _OBJECTIVE.items() if self.config.get(key) is not None}
        )

    @property
    def finished(self) -> tuple[TrialRecord, ...]:
        """Finished trials with a score, best first; ties go to the simpler rule, then to the earlier trial."""
        done = [t for t in self.trials if t.score is not None]
        return tuple(sorted(done, key=lambda t: (-(t.score or 0.0), t.complexity, t.number)))
