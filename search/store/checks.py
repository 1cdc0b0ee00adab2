"""Finds mistakes in a search before anything heavy is imported or started."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

from policies.testing import check_policy
from search.errors import SearchError
from search.settings import Launch, Problems, SearchConfig, without_texts
from search.store.files import check_creatable
from trainables.config import ModelSettings, OwnFunction, OwnPolicy, OwnTask
from trainables.datasets import check_dataset
from trainables.models import check_model
from trainables.teacher import check_teacher
from trainables.training import trains_stacked

_MOST_CHANGES = 5
_LONGEST_VALUE = 60
_FILES = {
    "own_policies.": "rule",
    "kpis.": "KPI",
    "task_file.": "task",
    "function_file.": "function",
    "files.": "part",
}
"""Settings that hold the text of files."""


def check_config(config: SearchConfig, launch: Launch) -> None:
    """Find the mistakes that can be found without data, and on pictures without PyTorch; report all of them at once.

    Raises:
        KDPolicySearchError: data, models or checkpoint are missing or unknown, students cannot train as asked, or a
            folder cannot be written.
    """
    problems = Problems()
    for check in _checks(config, launch):
        with problems.noted():
            check()
    problems.check()


def _checks(config: SearchConfig, launch: Launch) -> Iterator[Callable[[], object]]:
    """Yield the checks of a search that are independent of one another."""
    yield from (functools.partial(check_own_policy, policy) for policy in config.own_policies)
    if config.task is not None:
        from trainables.tasks import create_task  # imports PyTorch

        yield functools.partial(create_task, config.task)
    elif config.function is not None:
        from trainables.functions import load_function  # imports PyTorch

        yield functools.partial(load_function, config.function)
    else:
        assert config.teacher is not None  # `SearchConfig` makes sure of it
        for name, student in config.students.items():
            yield functools.partial(_check_student, student, config.student_sections[name], config)
        yield functools.partial(check_teacher, config.teacher)
        for augmentation in (config.augmentation, config.teacher.augmentation):
            if augmentation.function is not None:
                from trainables.training import check_own_views  # imports PyTorch

                yield functools.partial(check_own_views, augmentation)
        yield functools.partial(check_dataset, config.data, launch.data_root)
    yield functools.partial(_check_folders, config, launch)


def _check_student(student: ModelSettings, section: str, config: SearchConfig) -> None:
    check_model(student, section)
    trains_stacked(student, config.device, config.training)
    if student.checkpoint is not None:
        from trainables.checkpoints import check_initial_weights  # imports PyTorch

        check_initial_weights(student, section)


def _check_folders(config: SearchConfig, launch: Launch) -> None:
    """Check early that the report, written at the search's end, and a newly trained teacher can be stored."""
    _check_folder("--output", launch.output)
    # A search that finds its teacher in the cache need not write there. Without the pictures it is not known which
    # teacher that is, so any one counts. On a cluster with GPUs another node may train it.
    trained_here = launch.address is None or config.resources.gpus_per_trial == 0
    teacher = config.teacher
    if teacher is not None and teacher.training is not None and trained_here and not any(launch.cache.glob("*.pt")):
        _check_folder("--cache", launch.cache)


def _check_folder(option: str, folder: pathlib.Path) -> None:
    try:
        check_creatable(folder)
    except OSError as error:
        raise SearchError(
            f"`{option}`: {str(folder)!r} cannot be written: {error.strerror or error}. Make it writable, or give"
            " another folder."
        ) from error


def check_own_policies(config: SearchConfig) -> None:
    """Check the user's own rules against the contract before trials are spent on them.

    Raises:
        SearchError: a rule breaks a clause.
    """
    for policy in config.own_policies:
        check_own_policy(policy)


def check_own_policy(policy: OwnPolicy) -> None:
    """Check one of the user's own rules; see `check_own_policies`."""
    try:
        check_policy(policy.policy_class)
    except AssertionError as error:
        raise SearchError(
            f"{policy.origin} does not keep the contract of a rule: {error} Fix it, and check it with `kd-search"
            " policies --check FILE.py:CLASS`."
        ) from error


def check_unchanged(config: SearchConfig, begun: SearchConfig) -> None:
    """Make sure that a search is resumed with the settings that it began with.

    Raises:
        SearchError: some settings differ.
    """
    found = [words for _, words in changes(begun, _of_size(begun, config))]
    if found:
        shown = found[:_MOST_CHANGES]
        if len(found) > len(shown):
            shown.append(f"and {len(found) - len(shown):,} more")
        lines = "".join(f"\n  {line}" for line in shown)
        raise SearchError(
            f"a search {config.name!r} has begun with other settings:{lines}\nGive this one another name (--name …), or"
            " resume it with the settings that it began with. To let it grow, name what grows: kd-search resume"
            f" {config.name} --set trials_per_family=…"
        )


def _of_size(begun: SearchConfig, config: SearchConfig) -> SearchConfig:
    """Return a search file's settings with the size that the search has grown to, if the file has an earlier one."""
    if config.size not in begun.sizes:
        return config
    added = tuple(policy for policy in begun.own_policies if policy.family not in config.families)
    ranges = {family: kept for family, kept in begun.space.policies.items() if family not in config.families}
    return config.model_copy(
        update={
            "families": begun.families,
            "trials_per_family": begun.trials_per_family,
            "replicates": begun.replicates,
            "constant": begun.constant,
            "earlier_sizes": begun.earlier_sizes,
            "own_policies": (*config.own_policies, *added),
            "space": config.space.model_copy(update={"policies": {**config.space.policies, **ranges}}),
        }
    )


def changes(before: SearchConfig, now: SearchConfig) -> list[tuple[str, str]]:
    """List the settings on which trials depend and that differ, each by its name and in words."""
    return list(_changes(_comparable(before), _comparable(now)))


def _comparable(config: SearchConfig) -> dict[str, Any]:
    # No trial depends on how long the search may take, how many run at a time, what is confirmed, or what a champion
    # must keep.
    free: dict[str, Any] = {"confirm": True, "gates": True, "budget": True, "resources": {"max_concurrent"}}
    return {
        **without_texts(config.model_dump(mode="json", exclude=free)),
        "files": dict(_texts(config.model_dump(mode="json"))),
        "own_policies": {policy.origin: policy.source for policy in config.own_policies},
        "kpis": {kpi.origin: kpi.source for kpi in config.kpis},
        **_own_training("task", config.task),
        **_own_training("function", config.function),
    }


def _own_training(kind: str, own: OwnTask | OwnFunction | None) -> dict[str, Any]:
    """Return the settings of a task or function apart from its file's text, which is compared line by line."""
    if own is None:
        return {kind: None, f"{kind}_file": {}}
    return {kind: own.model_dump(mode="json", exclude={"origin", "source"}), f"{kind}_file": {own.origin: own.source}}


def _texts(values: Any, section: str = "") -> Iterator[tuple[str, str]]:
    """Yield places and texts of the files of the user's own students, teacher, data and augmentations."""
    if isinstance(values, dict):
        origin = values.get("name") or values.get("function")
        if origin and values.get("source"):
            yield f"{origin} ({section})", values["source"]
        for key, value in values.items():
            yield from _texts(value, f"{section}.{key}" if section else key)


def _changes(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{prefix}{key}.")
        elif prefix in _FILES and old != new:
            yield prefix, _changed_file(_FILES[prefix], key, old, new)
        elif old != new:
            yield f"{prefix}{key}", f"`{prefix}{key}` was {_shortened(old)} and now is {_shortened(new)}"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _changed_file(what: str, origin: str, old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return f"the {what} {origin} {'was added' if old is None else 'was removed'}"
    pairs = zip_longest(old.splitlines(), new.splitlines(), fillvalue="nothing")
    line, before, now = next((n, *pair) for n, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    return f"the file of {origin} has changed: line {line} was `{before.strip()}` and now is `{now.strip()}`"
