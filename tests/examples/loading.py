"""Loads an example for tests: it is a script and not a module of a package."""

import importlib.util
import pathlib
import re
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def example(name):
    """Import the example anew as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *arguments):
    """Run the example as its reader does; return what it prints."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(text):
    """Return the numbers of lines of the form `words: number`."""
    return {words: float(number) for words, number in re.findall(r"^([^:\n]+): ([\d.]+)", text, flags=re.M)}
