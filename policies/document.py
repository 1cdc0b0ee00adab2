"""Builds and reads `policy.json`, a small file that keeps a policy after the search that found it."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable
from typing import Any

from policies.errors import PolicyError, nearest
from policies.extensions import origin_of, register_policy
from policies.policy import Policy
from policies.registry import create_policy, policy_class
from policies.text_file import read_user_text

FORMAT = "kd-policy"
VERSION = 1
_EXPECTED = (
    f'A policy file is a JSON object with "format": "{FORMAT}"; a search writes runs/NAME/report/policy.json, and its'
    " confirmation runs/NAME/champion/policy.json."
)
_KNOWN = (
    "format",
    "version",
    "family",
    "origin",
    "parameters",
    "rule",
    "temperature",
    "training",
    "options",
    "evidence",
    "constant",
    "monitoring",
)


def policy_document(policy: Policy, *, temperature: float, **context: Any) -> dict[str, Any]:
    """Return the contents of a `policy.json`.

    Args:
        policy: the policy to write: its family and parameters, not its state in a training.
        temperature: the distillation temperature T that the policy was found with.
        context: `training` and `options` (the settings it was found under; options are those of a task of the user's
            own) and `evidence` (scores), all for people to read. `constant` (the best one of the search) and
            `monitoring` (the confirmed ranges) are for `policies.monitoring`.
    """
    origin = origin_of(type(policy))
    return {
        "format": FORMAT,
        "version": VERSION,
        "family": policy.family,
        **({} if origin is None else {"origin": origin}),
        "parameters": policy.values(),
        "rule": policy.rule(),
        "temperature": temperature,
        **context,
    }


def read_document(path: str | pathlib.Path, policies: Iterable[type[Policy]] = ()) -> dict[str, Any]:
    """Read and check a `policy.json`.

    Args:
        path: the file.
        policies: the user's own classes, which are registered first.

    Raises:
        PolicyError: `policies` is no list. The file is missing, or is no JSON object or no policy document of this
            version. Its rule is a user's own and is not registered here.
    """
    if isinstance(policies, type):
        raise PolicyError(f"`policies` must be a list of classes; pass `policies=[{policies.__name__}]`.")
    for policy in policies:
        register_policy(policy)
    try:
        document = json.loads(read_user_text(path))
    except OSError as error:
        raise PolicyError(f"cannot read the policy file {str(path)!r}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise PolicyError(
            f"{str(path)!r} is not a policy file, since it is not valid JSON: {error}. {_EXPECTED}"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = f"its `format` is {document.get('format')!r}" if isinstance(document, dict) else "it is not an object"
        raise PolicyError(f"{str(path)!r} is not a policy file, since {found}. {_EXPECTED}")
    if document.get("version") != VERSION:
        raise PolicyError(
            f"{str(path)!r} has version {document.get('version')!r}, but this release reads version {VERSION};"
            " install the release of kd-policy-search that wrote it."
        )
    for key in document:
        if key not in _KNOWN:
            raise PolicyError(f"{str(path)!r} has an unknown key {key!r}.{nearest(key, _KNOWN)}")
    if not isinstance(document.get("family"), str) or not isinstance(document.get("parameters"), dict):
        raise PolicyError(f"{str(path)!r} must have `family` (a name) and `parameters` (an object).")
    temperature = document.get("temperature")
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not temperature > 0:
        raise PolicyError(f"{str(path)!r}: `temperature` must be a positive number, but got {temperature!r}.")
    _check_known(document["family"], document.get("origin"), path)
    return document


def load_policy(path: str | pathlib.Path, policies: Iterable[type[Policy]] = ()) -> Policy:
    """Create a policy from a `policy.json`.

    Args:
        path: the file.
        policies: as for `read_document`.

    Raises:
        PolicyError: as `read_document`, or an unknown family or invalid parameter.
    """
    document = read_document(path, policies)
    return create_policy(document["family"], document["parameters"])


def _check_known(family: str, origin: object, path: str | pathlib.Path) -> None:
    """Make sure that the family of a document is known here.

    Raises:
        PolicyError: it is not. For a user's own rule the message names the class, since the document holds no code.
    """
    try:
        policy_class(family)
    except PolicyError as error:
        if not isinstance(origin, str):
            raise
        name = origin.rpartition(":")[2]
        raise PolicyError(
            f"{str(path)!r} holds the rule {family!r}, which is not built in; its class is {origin}. Import {name} and"
            f" call policies.register_policy({name}) first, or pass policies=[{name}]."
        ) from error
