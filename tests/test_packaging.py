"""An installed copy has everything that the source tree has, and every face offers what it lists."""

import ast
import importlib
import pathlib
import tomllib

import pytest
import setuptools

ROOT = pathlib.Path(__file__).parents[1]
TOP = ("policies", "trainables", "search")
FACES = sorted(path for top in TOP for path in (ROOT / top).rglob("__init__.pyi"))


def test_every_folder_of_code_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    installed = setuptools.find_packages(str(ROOT), include=settings["packages"]["find"]["include"])
    folders = {path.parent for top in TOP for path in (ROOT / top).rglob("*.py")}
    assert sorted(installed) == sorted(".".join(folder.relative_to(ROOT).parts) for folder in folders)
    assert "__init__.pyi" in settings["package-data"]["*"]  # a face cannot be read without it


@pytest.mark.parametrize("face", FACES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_every_face_offers_what_it_lists(face):
    package = ".".join(face.parent.relative_to(ROOT).parts)
    for statement in ast.parse(face.read_text(encoding="utf-8")).body:
        assert isinstance(statement, ast.ImportFrom)
        module = importlib.import_module(f"{package}.{statement.module}")
        for name in statement.names:
            assert getattr(importlib.import_module(package), name.name) is getattr(module, name.name)
