"""Finds the training to analyse.

It is what a finished search recommends, or the set-up of a file or recipe under a constant λ.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

from policies.document import read_document
from policies.errors import nearest
from policies.registry import create_policy
from search.confirm import recommended_training
from search.errors import SearchError
from search.recipes import recipe_names
from search.settings import CONSTANT_FAMILY, Launch, SearchConfig, load_config, next_command
from search.store import SearchStore, searches_in
from trainables.config import PolicySettings, TrialSettings
from trainables.suggestion import apply_suggestion

_USUAL_WEIGHT = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """A training to analyse."""

    config: SearchConfig
    trial: TrialSettings
    """Policy, learning rate and temperature of the training; its seeds are ignored."""
    number: int | None = None
    """The number of the search's trial; None if the training is no trial of a search."""
    foundation: str | None = None
    """The search's foundation, as in `search.prepare.preparation.Prepared`; None for a file or recipe."""
    words: str = ""
    """A description for people."""


def find_subject(
    source: str, launch: Launch, *, overrides: Sequence[str] = (), policy_file: str | None = None
) -> Subject:
    """Return the training that `source` and the options name.

    Args:
        source: a search file (.toml), the name of a finished search, or the name of a recipe. A search takes precedence
            over a recipe of the same name.
        launch: where searches are stored.
        overrides: `key.path=value` settings for a file or recipe.
        policy_file: a `policy.json`; its rule and temperature replace those of the search, file or recipe.

    Raises:
        KDPolicySearchError: `source` is unknown, the search has not finished, or a setting is invalid.
    """
    path = pathlib.Path(source)
    store = None if path.suffix == ".toml" or path.is_file() or "/" in source else SearchStore(launch.storage, source)
    if store is not None and store.exists():
        subject = _of_search(store, overrides, launch)
    else:
        if store is not None and source not in recipe_names():
            known = searches_in(launch.storage)
            raise SearchError(
                f"there is no search {source!r} in {launch.storage!r} and no recipe of that name; searches:"
                f" {', '.join(known) or 'none'}; recipes: {', '.join(recipe_names())}."
                f"{nearest(source, [*known, *recipe_names()])}"
            )
        subject = _of_file(source, overrides)
    return subject if policy_file is None else _with_policy(subject, policy_file)


def _of_search(store: SearchStore, overrides: Sequence[str], launch: Launch) -> Subject:
    if overrides:
        raise SearchError(
            f"`--set` changes a file or a recipe, but {store.name!r} is a search in {store.storage!r} that has its"
            " settings already. Leave it out, or give another `--output` to analyse the recipe of that name."
        )
    from search.store import read_search

    search = read_search(store)
    if search.status != "finished" or not search.finished:
        raise SearchError(
            f"the search {store.name!r} must have finished with a result before its best rule is analysed, but it is"
            f" {search.status}; resume it: {next_command('resume', store.name, launch)}"
        )
    found = recommended_training(store, search)
    assert found is not None  # it has finished with a result
    config, best = store.config(), found.recommended
    own = {f"{best.family}.{name}": value for name, value in best.parameters.items()}
    named = best.title if best.trial is None else f"trial {best.trial}"
    return Subject(
        config=config,
        trial=apply_suggestion(
            config.base_trial(), {"family": best.family, "student": best.student, **own, **best.shared}
        ),
        number=best.trial,
        foundation=search.foundation,
        words=f"{named} of the search {store.name}, {found.words}",
    )


def _of_file(source: str, overrides: Sequence[str]) -> Subject:
    config = load_config(source, overrides)
    domain = config.space.policies.get(CONSTANT_FAMILY, {}).get("weight")
    weight = float(domain) if isinstance(domain, float) else _USUAL_WEIGHT
    policy = PolicySettings(family=CONSTANT_FAMILY, parameters={"weight": weight})
    trial = config.base_trial().model_copy(update={"policy": policy})
    return Subject(config=config, trial=trial, words=f"the set-up of {source} under a constant λ = {weight:g}")


def _with_policy(subject: Subject, path: str) -> Subject:
    document = read_document(path)
    policy = create_policy(document["family"], document["parameters"])
    update = {
        "policy": PolicySettings(family=policy.family, parameters=policy.values()),
        "temperature": float(document["temperature"]),
    }
    return dataclasses.replace(
        subject,
        trial=subject.trial.model_copy(update=update),
        number=None,
        words=f"the set-up of {subject.config.name} under the rule of {path}",
    )
