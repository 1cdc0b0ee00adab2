"""Lists the finalists of a transfer with unrounded numbers."""

from __future__ import annotations

from search.drawing import Table
from search.evidence import TransferFindings


def transfer_numbers(found: TransferFindings) -> Table:
    """Return a line for each finalist; the sign of scores is such that higher is better."""
    return Table(
        (
            "key", "finalist", "role", "of_pilot", "pilot_place", "pilot_score", "place", "score", "difference", "low",
            "high", "p_corrected", "tied_to", "choice", "taken", "baseline",
        ),
        tuple(
            (
                row.key, row.title, row.role, row.of_pilot, row.pilot_rank, row.pilot_score, row.rank, row.score,
                *(getattr(row.gain, name, None) for name in ("mean", "low", "high")),
                getattr(row.claim, "p_corrected", None),
                ", ".join(f"{name}: {tie}" for name, tie in row.unlike.items()),
                row.key == found.choice, row.key == found.take, row.key == found.baseline,
            )
            for row in found.rows
        ),
    )  # fmt: skip
