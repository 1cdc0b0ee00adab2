"""An installed copy has every package of the source tree."""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).parents[1]


def test_every_package_is_listed_for_installation():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    files = (path for top in ("policies", "trainables", "search") for path in (ROOT / top).rglob("__init__.py"))
    assert sorted(listed) == sorted(".".join(path.parent.relative_to(ROOT).parts) for path in files)
