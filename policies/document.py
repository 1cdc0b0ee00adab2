"""`policy.json`: a policy as a small file that outlives the search that found it."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from policies.errors import PolicyError, nearest
from policies.policy import Policy
from policies.registry import create_policy

FORMAT = "kd-policy"
VERSION = 1
_KNOWN = ("format", "version", "family", "parameters", "rule", "temperature", "training", "evidence")


def policy_document(policy: Policy, *, temperature: float, **context: Any) -> dict[str, Any]:
    """The contents of a `policy.json`.

    Args:
        policy: what to write; only its family and parameters, not what it remembers of a training.
        temperature: the distillation temperature T that the policy was found with.
        context: `training` (the settings it was found under) and `evidence` (scores), both for people to read.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "family": policy.family,
        "parameters": policy.values(),
        "rule": policy.rule(),
        "temperature": temperature,
        **context,
    }


def read_document(path: str | pathlib.Path) -> dict[str, Any]:
    """A checked `policy.json`.

    Raises:
        PolicyError: the file is missing, is no JSON object or no policy document of this version.
    """
    try:
        document = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"cannot read the policy file {str(path)!r}: {error.strerror or error}.") from error
    except ValueError as error:
        raise PolicyError(f"{str(path)!r} is not valid JSON: {error}.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise PolicyError(f'{str(path)!r} is no policy file: it must be a JSON object with "format": "{FORMAT}".')
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
    return document


def load_policy(path: str | pathlib.Path) -> Policy:
    """A new policy from a `policy.json`.

    Raises:
        PolicyError: as `read_document`, or an unknown family or invalid parameter.
    """
    document = read_document(path)
    return create_policy(document["family"], document["parameters"])
