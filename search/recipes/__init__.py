"""Lists and reads the searches that come with the project."""

from __future__ import annotations

import importlib.resources

from policies.errors import nearest
from search.errors import SearchError


def recipe_names() -> list[str]:
    """The names of the recipes, in alphabetical order."""
    files = importlib.resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def read_recipe(name: str) -> str:
    """A recipe's TOML text.

    Raises:
        SearchError: there is no recipe of this name; the message names the nearest one.
    """
    known = recipe_names()
    if name not in known:
        raise SearchError(
            f"there is no search file and no recipe {name!r}; recipes: {', '.join(known)}.{nearest(name, known)}"
        )
    return importlib.resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
