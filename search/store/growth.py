"""Says what of a search that has begun may still change, and refuses the rest with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.errors import SearchError
from search.records import SearchRecord
from search.settings import ConfirmationSettings, ResourceSettings, SearchConfig, changed_config
from search.store.checks import changes

_REASONS = {
    "data": "all trials were trained and compared on it",
    "task": "all trials were trained by it",
    "task_file": "all trials were trained by it",
    "function": "all trials were trained by it",
    "function_file": "all trials were trained by it",
    "files": "all trials were trained with it",
    "teacher": "all trials were taught by it",
    "student": "rules are compared under the same students",
    "space.students": "rules are compared under the same students",
    "training": "all trials were trained so",
    "augmentation": "all trials saw these views",
    "corruption": "all trials were trained on it",
    "temperature": "all trials were trained so",
    "device": "trainings of another device, precision or number of threads round otherwise",
    "resources": "another number of threads, or a GPU, rounds otherwise; `resources.max_concurrent` may change",
    "seed": "it decides the initial weights and batches of all trials, and what is proposed",
    "objective": "what was proposed depends on it",
    "direction": "what was proposed depends on it",
    "costs": "what was proposed depends on it",
    "kpis": "they are measured while a trial is trained",
    "racing": "the seeds of the trials so far were given out by it",
    "evaluations": "all trials were evaluated so",
    "trace_points": "all trials were traced so",
    "earlier_sizes": "it is a record of how the search grew",
    "name": "it is the name of the search's folder",
}
"""The reason why a setting cannot change, by the first part of its name."""
_PROPOSALS = "what was proposed depends on it"
_MAY_GROW = "`families`, `trials_per_family`, `replicates`, `constant.most_trials` and `constant.promoted`"


def grown(
    begun: SearchRecord, overrides: Sequence[str] | Mapping[str, Any], own_policies: Sequence[str] = ()
) -> SearchConfig:
    """Return the settings with which a search that has begun is to continue.

    A search may get more families, more rules of each, more seeds and more constants, and another budget. All that it
    has stays as it is.

    Args:
        begun: the search, as its header has it.
        overrides: the settings that change, each as `key.path=value`, or by their dotted names.
        own_policies: further rules of the user's own, `my_rules.py:MyRule`, relative to the working directory.

    Raises:
        SearchError: a setting cannot change, or would shrink; the message names all of them with the reasons.
        ConfigError: a setting is unknown or invalid.
    """
    before = begun.config
    now = changed_config(before, overrides, own_policies)
    given = overrides if isinstance(overrides, Mapping) else [override.partition("=")[0] for override in overrides]
    keys = {key.strip() for key in given}
    end = begun.budget_end
    if end is not None and "budget" in keys and "trials_per_family" not in keys:
        now = now.model_copy(update={"trials_per_family": end.planned})
    problems = [*_smaller(before, now), *_refused(before, now)]
    if problems:
        lines = "".join(f"\n  {line}" for line in problems)
        raise SearchError(
            f"the search {before.name!r} cannot change so:{lines}\n{_MAY_GROW} may grow, and `budget`,"
            " `resources.max_concurrent`, `confirm` and `gates` may change. For anything else begin a search of another"
            " name."
        )
    return _resized(before, now)


def continued(begun: SearchRecord, now: SearchConfig) -> SearchConfig:
    """Return the settings with which a search continues whose search file, perhaps of a smaller size, is `now`."""
    config = begun.config
    if now.budget == config.budget:
        rounds = config.trials_per_family
    else:
        rounds = config.trials_per_family if begun.budget_end is None else begun.budget_end.planned
    free = {"budget": now.budget, "resources": now.resources, "gates": now.gates}
    config = config.model_copy(update=free)
    return config if rounds == config.trials_per_family else config.resized(trials_per_family=rounds)


def confirmation_overrides(
    config: SearchConfig, overrides: Sequence[str]
) -> tuple[dict[str, Any], ResourceSettings | None, dict[str, str] | None]:
    """Read what `kd-search confirm --set` changes: settings under `confirm`, `resources` and `gates`.

    Args:
        config: of the search.
        overrides: each as `key.path=value`; `seeds` alone stands for `confirm.seeds`, and so on.

    Returns:
        The given settings of the confirmation by name, and the resources and the KPI gates if they are given.

    Raises:
        SearchError: a setting on which trials depend was given.
        ConfigError: a setting is unknown or invalid.
    """
    short = ConfirmationSettings.model_fields.keys() - SearchConfig.model_fields.keys()
    full = [f"confirm.{text}" if text.partition("=")[0].strip() in short else text for text in overrides]
    now = changed_config(config, full)
    free = {"resources": config.resources, "confirm": config.confirm}
    other = [words for _, words in changes(config, now.model_copy(update=free))]
    if now.budget != config.budget:
        other.append(f"`budget` was {config.budget} and now is {now.budget}")
    if other:
        lines = "".join(f"\n  {line}" for line in other)
        raise SearchError(
            f"a confirmation trains as the search {config.name!r} did, so only settings under `confirm`, `resources`"
            f" and `gates` may change:{lines}"
        )
    paths = [text.partition("=")[0].strip().split(".") for text in full]
    names = {name for path in paths if path[0] == "confirm" for name in path[1:2] or ConfirmationSettings.model_fields}
    given = {name: getattr(now.confirm, name) for name in names}
    gates = dict(now.gates) if any(path[0] == "gates" for path in paths) else None
    return given, None if now.resources == config.resources else now.resources, gates


def _resized(before: SearchConfig, now: SearchConfig) -> SearchConfig:
    if now.size == before.size:
        return now
    return before.resized(**{name: getattr(now, name) for name in SearchConfig.model_fields if name != "earlier_sizes"})


def _smaller(before: SearchConfig, now: SearchConfig) -> list[str]:
    numbers = (
        ("trials_per_family", before.trials_per_family, now.trials_per_family),
        ("replicates", before.replicates, now.replicates),
        ("constant.most_trials", before.constant.most_trials, now.constant.most_trials),
        ("constant.promoted", before.constant.promoted, now.constant.promoted),
    )
    found = [
        f"`{name}` was {old} and may only grow, since a search keeps all that it has, but got {new}"
        for name, old, new in numbers
        if new < old
    ]
    lost = [family for family in before.families if family not in now.families]
    if lost:
        found.append(
            f"`families` must keep {', '.join(lost)}, since a search keeps all that it has; to add families, list all"
        )
    return found


def _refused(before: SearchConfig, now: SearchConfig) -> list[str]:
    """List the changes that no growth allows. A family that is new may come with its own ranges and file."""
    new = set(now.families) - set(before.families)
    ranges = {family: domains for family, domains in now.space.policies.items() if family not in new}
    grown = {
        "families": before.families,
        "trials_per_family": before.trials_per_family,
        "replicates": before.replicates,
        "constant": before.constant,
        "own_policies": tuple(policy for policy in now.own_policies if policy.family not in new),
        "space": now.space.model_copy(update={"policies": ranges}),
    }
    found = changes(before, now.model_copy(update=grown))
    return [f"{words}; {_reason(name)}" for name, words in found]


def _reason(name: str) -> str:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if (reason := _REASONS.get(".".join(parts[:length]))) is not None:
            return reason
    return _PROPOSALS
