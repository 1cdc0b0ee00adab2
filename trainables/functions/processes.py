"""Calls a user's function in processes of its own: one, or several that train one student together.

The processes come from a fork server that has imported PyTorch already, so that each starts in a fraction of a second.
The first process obeys its parent through a pipe. The others of a training together run freely, and wait for the first
one wherever they exchange gradients. They find each other by the environment that `torchrun` sets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import pickle
import socket
import sys
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from policies.errors import KDPolicySearchError
from trainables.config import OwnFunction
from trainables.errors import ConfigError
from trainables.functions.call import call_function, new_notes
from trainables.functions.here import CallHere
from trainables.functions.notes import Notes
from trainables.functions.own_packages import drop_own_folder, own_packages_first
from trainables.functions.session import Session
from trainables.functions.thread import Pauses, Stopped

_SECONDS_TO_END = 30.0
_SECONDS_TO_STOP = 10.0


class ProcessCall:
    """One call in processes of its own.

    Args:
        own: the function.
        session: the settings of the first process.
    """

    def __init__(self, own: OwnFunction, session: Session) -> None:
        context = _context()
        self._pipe, theirs = context.Pipe()
        environment = _environment(own.processes)
        self._processes: list[BaseProcess] = []
        for rank in range(own.processes):
            work = pickle.dumps(
                (own, dataclasses.replace(session, rank=rank, device=_device(session, rank)), environment)
            )
            process = context.Process(
                target=_lead if rank == 0 else _follow, args=(work, *([theirs] if rank == 0 else [])), daemon=True
            )
            with own_packages_first():
                process.start()
            self._processes.append(process)
        theirs.close()
        self._origin = own.origin
        self._limited = session.limited

    @property
    def ended(self) -> bool:
        """True if all processes have ended."""
        return all(process.exitcode is not None for process in self._processes)

    @property
    def notes(self) -> Notes:
        """The notes so far."""
        notes: Notes = self._notes
        return notes

    def advance(self) -> bool:
        """Let the function go on to its next report or its end; return True if it has ended.

        Raises:
            KDPolicySearchError: the function failed, or a process was lost.
        """
        try:
            self._pipe.send("advance")
            kind, content = self._answer()
        except (EOFError, OSError):
            self.stop()
            raise ConfigError(
                f"the process of {self._origin} was lost (exit code {self._processes[0].exitcode}); it may have run"
                " out of memory."
            ) from None
        if kind == "failed":
            self.stop()
            raise content
        self._notes = content
        if kind == "ended" and self._limited:
            self.stop()  # the others wait for the first process, which was stopped
        elif kind == "ended":
            self._end()
        return kind == "ended"

    def stop(self) -> None:
        """End the function, read its last notes if they come soon, and end the processes."""
        with contextlib.suppress(EOFError, OSError):
            self._pipe.send("stop")
            if self._pipe.poll(_SECONDS_TO_STOP):
                self._notes = pickle.loads(self._pipe.recv_bytes())[1]
        for process in self._processes:
            process.kill()
        self._end()

    def _answer(self) -> tuple[str, Any]:
        """Wait for the first process. The others are watched: if one fails, the first would wait for it forever."""
        followers: dict[Any, BaseProcess] = {process.sentinel: process for process in self._processes[1:]}
        while True:
            ready = multiprocessing.connection.wait([self._pipe, *followers])
            if self._pipe in ready:
                answer: tuple[str, Any] = pickle.loads(self._pipe.recv_bytes())
                return answer
            for sentinel in ready:
                process = followers.pop(sentinel)
                if process.exitcode:
                    return "failed", ConfigError(
                        f"a process of {self._origin} ended with exit code {process.exitcode}; its error is in the"
                        " worker's log."
                    )

    def _end(self) -> None:
        self._pipe.close()
        for process in self._processes:
            process.join(_SECONDS_TO_END)
            if process.exitcode is None:
                process.kill()
                process.join()


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainables.functions.processes", "torch"])
    return context


def _environment(processes: int) -> dict[str, str]:
    if processes == 1:
        return dict(os.environ)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    return {**os.environ, **together, "LOCAL_WORLD_SIZE": str(processes)}


def _device(session: Session, rank: int) -> torch.device:
    if session.device.type != "cuda":
        return session.device
    return torch.device("cuda", rank % max(1, torch.cuda.device_count()))


def _prepare(work: bytes) -> tuple[OwnFunction, Session]:
    drop_own_folder()
    own, session, environment = pickle.loads(work)
    # A daemon ends with its parent, but may have no children, which a data loader needs.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(environment)
    if "WORLD_SIZE" in environment:
        os.environ.update(RANK=str(session.rank), LOCAL_RANK=str(session.rank))
    if session.device.type == "cuda":
        torch.cuda.set_device(session.device)
    return own, session


def _lead(work: bytes, pipe: Any) -> None:
    """Obey the parent: let the function go on to its next report, and send the notes."""
    own, session = _prepare(work)
    call = CallHere(own, session)
    ended = False
    while not ended and _asks_to_go_on(pipe):
        try:
            ended = call.advance()
        except Exception as error:
            _tell(pipe, "failed", _portable(error))
            return
        _tell(pipe, "ended" if ended else "paused", call.notes)
    if not ended:
        call.stop()
        _tell(pipe, "ended", call.notes)


def _tell(pipe: Any, kind: str, content: Any) -> None:
    """Send an answer by value; a pipe of PyTorch's would send tensors by a file that ends with this process."""
    pipe.send_bytes(pickle.dumps((kind, content)))


def _asks_to_go_on(pipe: Any) -> bool:
    """Wait for the parent; if it has gone, end this process with it."""
    try:
        return bool(pipe.recv() == "advance")
    except EOFError:
        sys.exit(1)


def _portable(error: Exception) -> Exception:
    """Return an error that the parent can read: the user's own classes are not known there."""
    if isinstance(error, KDPolicySearchError):
        return type(error)(str(error))
    return ConfigError(f"{type(error).__name__}: {error}")


def _follow(work: bytes) -> None:
    """Run the function without reporting to anyone."""
    own, session = _prepare(work)
    # A rehearsal stops the first process in the middle, which these see as a lost connection.
    with contextlib.suppress(Stopped, *([KDPolicySearchError] if session.limited else [])):
        call_function(own, session, new_notes(session), Pauses())
