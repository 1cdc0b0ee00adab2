"""Plans a transfer: the pilot's finalists, the settings that travel with them, and the seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping
from typing import Any

from policies.registry import create_policy
from search.confirm import choose_finalists
from search.errors import SearchError, nearest
from search.evidence import judge
from search.records import ConfirmationRecord, Finalist, PilotFinalist, SearchRecord, TransferRecord
from search.settings import (
    ConfirmationSettings,
    Domain,
    Launch,
    SearchConfig,
    TransferSettings,
    next_command,
)
from trainables.suggestion import BASE_STUDENT

BRACKET_SEEDS = 2
"""Seeds of a constant that is tried at scale, as in a race's first heat. The finalists have others."""
_MOST_CHANGES = 12
_NOT_SCALE = {
    "name", "families", "own_policies", "space", "trials_per_family", "constant", "replicates", "racing", "sampler",
    "proposal_lag", "seed", "budget", "earlier_sizes", "confirm", "gates", "costs", "resources", "evaluations",
    "trace_points",
}  # fmt: skip
"""Settings of a search file that change nothing in one training."""


def plan_transfer(
    search: SearchRecord,
    confirmation: ConfirmationRecord | None,
    scaled: SearchConfig,
    settings: TransferSettings,
    launch: Launch | None = None,
) -> tuple[TransferRecord, tuple[Finalist, ...]]:
    """Plan a transfer.

    Args:
        search: the pilot, finished.
        confirmation: its confirmation; None if none has begun. One with an answer gives finalists, scores and choice.
        scaled: the scaled search file's settings.
        settings: of the transfer.
        launch: its places, for the commands in messages.

    Returns:
        The record without trainings, and the pilot's finalists as they are to be trained at scale.

    Raises:
        SearchError: the pilot has not finished or no rule of it is known, or `scaled` has another objective or kind of
            training.
    """
    pilot = search.config
    _check(search, scaled, settings, launch)
    judgement = judge(search, confirmation)
    is_confirmed = judgement.is_confirmed and confirmation is not None
    selected = choose_finalists(
        search, pilot, ConfirmationSettings(student=judgement.student, more_constants=0), launch
    )
    facts, finalists = selected.constant, selected.finalists
    if is_confirmed and confirmation is not None:
        facts, finalists = confirmation.constant or facts, confirmation.finalists
    scores = {finalist.key: _score(finalist, confirmation if is_confirmed else None) for finalist in finalists}
    if judgement.verdict is not None and is_confirmed:
        choice = judgement.verdict.champion or judgement.verdict.winner
    else:
        choice = max((key for key in scores if _known(scores[key])), key=lambda key: scores[key] or 0.0, default=None)
    if choice is None:
        raise SearchError(f"the pilot {search.name!r} recommends nothing, so there is nothing to transfer.")
    rules = sorted((f for f in finalists if f.role == "rule"), key=lambda f: (f.key != choice, -_rank(scores[f.key])))
    best = judgement.verdict.baseline if is_confirmed and judgement.verdict is not None else facts.chosen
    constants = {best, *facts.rivals, choice, _labels_alone(finalists, scores)}
    chosen = [*rules[: settings.rules], *(f for f in finalists if f.role != "rule" and f.key in constants)]
    kept = tuple(name for name in _shared_names(chosen) if name not in settings.from_scaled)
    record = TransferRecord(
        search=search.name,
        name=scaled.name,
        scaled=scaled.model_dump(mode="json"),
        settings=settings.model_dump(mode="json"),
        choice=choice,
        constant=best,
        confirmed=is_confirmed,
        pilot=tuple(
            PilotFinalist(
                key=f.key,
                score=scores[f.key] if _known(scores[f.key]) else None,
                unlike=create_policy(f.family, dict(f.parameters)).tied(),
            )
            for f in chosen
        ),
        kept=kept,
        changes=tuple(_changes(pilot.model_dump(mode="json"), scaled.model_dump(mode="json"))),
    )
    return record, tuple(_at_scale(finalist, kept) for finalist in chosen)


def with_rules_of(scaled: SearchConfig, pilot: SearchConfig) -> SearchConfig:
    """Return the scaled settings with the pilot's rules of the user's own, which the scaled file need not list."""
    known = {policy.family for policy in scaled.own_policies}
    more = tuple(policy for policy in pilot.own_policies if policy.family not in known)
    return scaled.model_copy(update={"own_policies": (*scaled.own_policies, *more)})


def first_seed(pilot: SearchConfig, scaled: SearchConfig, confirmation: ConfirmationRecord | None) -> int:
    """Return the first seed that neither search nor confirmation has used."""
    used = {*pilot.seeds, *scaled.seeds, *(confirmation.seeds if confirmation is not None else ())}
    return max(used) + 1


def bracketed_settings(pilot: SearchConfig, scaled: SearchConfig, fixed: Collection[str]) -> dict[str, Domain]:
    """Return the ranges in which the best constant at scale is sought, by the settings' names in a suggestion.

    They are the scaled file's, and the pilot's where that has none: the pilot's rules come with settings that were
    searched, so the constant's must be searched too.
    """
    found = {**pilot.space.shared, **scaled.space.shared}
    return {name: domain for name, domain in found.items() if name not in fixed}


def _check(search: SearchRecord, scaled: SearchConfig, settings: TransferSettings, launch: Launch | None) -> None:
    pilot = search.config
    if search.status != "finished" or not search.finished:
        raise SearchError(
            f"the search {search.name!r} must have finished with a result before it is transferred, but it is"
            f" {search.status}; resume it: {next_command('resume', search.name, launch)}"
        )
    for name in ("objective", "direction"):
        ours, theirs = getattr(pilot, name), getattr(scaled, name)
        if ours != theirs:
            raise SearchError(
                f"`{name}` must be the same in both, since scores are compared, but the pilot {search.name!r} has"
                f" {ours!r} and {scaled.name!r} has {theirs!r}."
            )
    kinds = [("task" if one.task else "function" if one.function else "pictures") for one in (pilot, scaled)]
    if kinds[0] != kinds[1]:
        raise SearchError(
            f"pilot and scaled search must train alike, but {search.name!r} trains a {kinds[0]} and {scaled.name!r} a"
            f" {kinds[1]}."
        )
    known = list(pilot.space.shared)
    for name in settings.from_scaled:
        if name not in known:
            raise SearchError(
                f"`--from-scaled` must name settings that the pilot searched ({', '.join(known) or 'none'}), but got"
                f" {name!r}.{nearest(name, known)}"
            )


def _score(finalist: Finalist, confirmation: ConfirmationRecord | None) -> float | None:
    if confirmation is None:
        return finalist.search_score
    scores = list(confirmation.scores(finalist.key).values())
    return statistics.fmean(scores) if scores else None


def _known(score: float | None) -> bool:
    return score is not None and math.isfinite(score)


def _rank(score: float | None) -> float:
    return score if score is not None and math.isfinite(score) else -math.inf


def _labels_alone(finalists: Collection[Finalist], scores: Mapping[str, float | None]) -> str | None:
    """Return the key of the best training on the labels alone; None without one."""
    alone = [finalist.key for finalist in finalists if finalist.role == "labels_alone"]
    return max(alone, key=lambda key: _rank(scores[key]), default=None)


def _shared_names(finalists: Collection[Finalist]) -> list[str]:
    return list(dict.fromkeys(name for finalist in finalists for name in finalist.shared))


def _at_scale(finalist: Finalist, kept: Collection[str]) -> Finalist:
    shared = {name: value for name, value in finalist.shared.items() if name in kept}
    return finalist.model_copy(update={"shared": shared, "student": BASE_STUDENT})


def _changes(pilot: Mapping[str, Any], scaled: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str, str]]:
    """List the settings of a training that differ; a setting that is searched is no difference."""
    found: list[tuple[str, str, str]] = []
    for key in [*pilot, *(key for key in scaled if key not in pilot)]:
        name, ours, theirs = f"{prefix}{key}", pilot.get(key), scaled.get(key)
        if ours == theirs or name in _NOT_SCALE or key == "source":
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            found += _changes(ours, theirs, f"{name}.")
        else:
            found.append((name, _words(ours), _words(theirs)))
    return found[:_MOST_CHANGES]


def _words(value: Any) -> str:
    return "–" if value is None else str(value)[:60]
