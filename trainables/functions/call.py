"""Calls a user's function for one seed, and turns its errors into messages with file and line."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable

import torch

from policies.errors import KDPolicySearchError, nearest
from policies.extensions import told
from policies.own_file import line_in, load_module
from trainables.config import OwnFunction
from trainables.errors import ConfigError
from trainables.functions.isolation import isolated, seed_all
from trainables.functions.notes import Notes
from trainables.functions.run import Run
from trainables.functions.session import Session
from trainables.functions.thread import Pauses, Stopped


def load_function(own: OwnFunction) -> Callable[[Run], object]:
    """Return the function.

    Raises:
        PolicyError: the file fails when it is run.
        ConfigError: the file has no such function, or it does not take one argument.
    """
    name = own.origin.rpartition(":")[2]
    module = load_module(own.file, own.source)
    function: Callable[[Run], object] | None = vars(module).get(name)
    if not callable(function) or isinstance(function, type):
        known = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not key.startswith("_")
        ]
        raise ConfigError(
            f"{own.file} has no function {name!r}; functions in it: {', '.join(known) or 'none'}.{nearest(name, known)}"
        )
    try:
        inspect.signature(function).bind("run")
    except TypeError as error:
        raise ConfigError(
            f"the function {own.origin} must take one argument, the run, but is {name}{inspect.signature(function)};"
            " give its other arguments defaults, or read them from `run.options`."
        ) from error
    return function


def call_function(own: OwnFunction, session: Session, notes: Notes, pauses: Pauses) -> None:
    """Call the function once, in a process that looks the same before each call.

    Raises:
        ConfigError: it fails; the message names file, line and error.
        Stopped: it was told to end.
    """
    with isolated([]), contextlib.ExitStack() as stack:
        torch.set_grad_enabled(True)
        torch.set_num_threads(session.threads)
        seed_all(session.seed, 0)
        os.chdir(session.folder if session.folder.is_dir() else session.scratch)
        sys.path.insert(0, _importable(own, session))
        stack.enter_context(isolated(notes.changed))
        run = Run(session, notes, pauses)
        stack.callback(run.end)
        _call(own, run)
        notes.returned = True


def _call(own: OwnFunction, run: Run) -> None:
    try:
        load_function(own)(run)
    except Stopped:
        raise
    except KDPolicySearchError as error:
        where = line_in(own.file, error)
        raise type(error)(f"{own.file}{where}: {error}") if where else error from error
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise ConfigError(f"the function {own.origin} failed{line_in(own.file, error)}: {told(error)}.") from error


def _importable(own: OwnFunction, session: Session) -> str:
    """Write the file's text where processes that a data loader starts can import it; return the folder."""
    folder = session.scratch / "source"
    folder.mkdir(exist_ok=True)
    module = load_module(own.file, own.source)
    (folder / f"{module.__name__}.py").write_text(own.source, encoding="utf-8")
    return str(folder)


def new_notes(session: Session) -> Notes:
    """Return empty notes for a session."""
    return Notes(session.seed, epochs=session.epochs, points=session.points, kept=session.kept)
