"""`Run` is what a user's training function gets: seed, settings, a balancer, and the places to report and to save.

    def distil(run: Run) -> None:
        student = Net()                                         # weights come from the seeded generators
        balancer = run.balancer(student, total_steps=20 * len(loader))
        for epoch in run.epochs(20):
            train(student, balancer, learning_rate=run.learning_rate)
            run.report(accuracy=accuracy_on_validation_set(student))
        if run.confirming:
            correct = right_answers(student, test_set)
            run.report_test(accuracy=correct.mean(), per_sample=correct, ids=range(len(correct)))
        run.keep(student)

N: samples of the test set.
"""

from __future__ import annotations

import io
import pathlib
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policies.balancer import LossBalancer
from policies.policy import Policy
from policies.registry import create_policy
from trainables.errors import ConfigError
from trainables.functions.balancer import RecordedBalancer
from trainables.functions.isolation import seed_all
from trainables.functions.notes import Kept, Notes, Tested
from trainables.functions.order import in_order_of
from trainables.functions.session import Session
from trainables.functions.snapshots import USER_FOLDER, read_notes, write_snapshot
from trainables.functions.thread import Pauses

Values = Tensor | np.ndarray[Any, Any] | Iterable[float]


class Run:
    """One training of one student, as a user's function sees it.

    Args:
        session: the settings of this training.
        notes: receives what the function does.
        pauses: the places at which the function waits.
        policy: the policy; by default a new one as the session names it.
    """

    def __init__(self, session: Session, notes: Notes, pauses: Pauses, policy: Policy | None = None) -> None:
        self._policy = policy
        self._session = session
        self._notes = notes
        self._pauses = pauses
        self._balancer: LossBalancer | None = None
        self._in_epoch = False
        self._restores = False
        self._writer: Callable[[pathlib.Path], object] | None = None
        self._saved_at = pauses.clock()
        self._snapshot = None if session.snapshot is None else read_notes(session.snapshot)
        if self._snapshot is not None:
            notes.load_state_dict(self._snapshot["notes"])

    @property
    def seed(self) -> int:
        """The seed of this training. The global generators of Python, NumPy and PyTorch are seeded with it already."""
        return self._session.seed

    @property
    def learning_rate(self) -> float:
        """The learning rate: the proposed one if it is searched, else `training.learning_rate`."""
        self._notes.read.add("learning_rate")
        return self._session.learning_rate

    @property
    def temperature(self) -> float:
        """The temperature T of the distillation loss; the balancer has it, too."""
        self._notes.read.add("temperature")
        return self._session.temperature

    @property
    def options(self) -> Mapping[str, Any]:
        """The function's options; searched ones have their proposed values."""
        return _Read(self._session.options, self._notes.read)

    @property
    def policy(self) -> Policy:
        """The policy of this training, which `balancer` takes."""
        named = self._session.policy
        return self._policy or create_policy(named.family, dict(named.parameters))

    @property
    def confirming(self) -> bool:
        """True in a confirmation, the only time at which the test set may be looked at."""
        return self._session.confirming

    @property
    def device(self) -> torch.device:
        """The device that this training was given."""
        return self._session.device

    @property
    def folder(self) -> pathlib.Path:
        """The folder in which the search was started, which is the working directory where it exists; for data."""
        return self._session.folder

    @property
    def scratch(self) -> pathlib.Path:
        """A folder for temporary files of this training, which is deleted after it."""
        return self._session.scratch

    def balancer(self, student: nn.Module | Iterable[Tensor], *, total_steps: int, **more: Any) -> LossBalancer:
        """Create the balancer of this training, whose steps, λ and readings are recorded for the search.

        Args:
            student: as for `LossBalancer`.
            total_steps: the number of updates in the training.
            more: further arguments of `LossBalancer`.

        Raises:
            ConfigError: the run has a balancer already.
            PolicyError: as for `LossBalancer`.
        """
        if self._balancer is not None:
            raise ConfigError("a run has one balancer, but `run.balancer` was called a second time; call it once.")
        session = self._session
        self._balancer = RecordedBalancer(
            self.policy,
            student,
            total_steps=total_steps,
            notes=self._notes,
            pauses=self._pauses,
            most_steps=session.most_steps,
            most_seconds=session.most_seconds,
            **{"temperature": session.temperature, **more},
        )
        if self._snapshot is not None and self._snapshot["balancer"] is not None:
            self._balancer.load_state_dict(self._snapshot["balancer"])
        else:
            self._notes.begin(self._balancer, total_steps)
        return self._balancer

    def epochs(self, count: int | None = None) -> Iterator[int]:
        """Yield the numbers of the epochs, from 0; a resumed training continues with the first one that is missing.

        The global generators are seeded anew at the start of each epoch, by the seed and the epoch's number. So a
        resumed training draws the same numbers as one that was not interrupted.

        Args:
            count: the number of epochs; by default `training.epochs`.
        """
        notes = self._notes
        notes.epochs = self._session.epochs if count is None else count
        while notes.epoch < notes.epochs:
            epoch = notes.epoch
            seed_all(self.seed, epoch + 1)
            notes.epoch, self._in_epoch = epoch + 1, True
            yield epoch
            self._in_epoch = False
            if self._writer is not None:
                writer, self._writer = self._writer, None
                self._write(writer)
            self._pauses.check()

    def report(self, **metrics: float | Tensor) -> None:
        """Report metrics on the validation set, once an epoch or less often; the last values are the training's result.

        `accuracy`, in [0, 1], and `loss` have a meaning. All other names are metrics of your own. One of them is the
        search's `objective`.

        Raises:
            ConfigError: a metric is no number, or the objective is missing.
        """
        values = {name: _number(name, value) for name, value in metrics.items()}
        wanted = self._session.objective
        if not self._session.printing and not self._notes.reports and wanted not in values:
            raise ConfigError(
                f"`run.report` must name the search's `objective`, {wanted!r}, but got"
                f" {', '.join(values) or 'nothing'}. Report it, or set `objective` to one of these."
            )
        self._notes.report(values, self._pauses.clock())
        self._session.told(values)
        self._pauses.pause()

    def save(self, write: Callable[[pathlib.Path], object]) -> None:
        """Let a resumed training continue here: write student, optimiser and whatever else it needs to a folder.

        The balancer's state, the epoch and the records are stored beside it. Within `run.epochs`, `write` is called
        when the epoch's body has ended. It is not called at every epoch if epochs are short.

        Args:
            write: called with an empty folder.

        Raises:
            ConfigError: `run.restore` was not called before.
        """
        if not self._restores and not self._session.printing:
            raise ConfigError(
                "`run.restore(read)` must be called before the loop in which `run.save` is; else an interrupted"
                " training would continue with a new student. It does nothing in a training that begins."
            )
        if self._in_epoch:
            self._writer = write
        else:
            self._write(write)

    def restore(self, read: Callable[[pathlib.Path], object]) -> bool:
        """Call `read` with the folder that `run.save` filled, if this training was interrupted.

        Returns:
            True if there was such a folder.
        """
        self._restores = True
        if self._snapshot is None:
            return False
        assert self._session.snapshot is not None
        read(self._session.snapshot / USER_FOLDER)
        return True

    def report_test(
        self,
        *,
        per_sample: Values | Mapping[str, Values] | None = None,
        ids: Iterable[object] | None = None,
        **metrics: float | Tensor,
    ) -> None:
        """Report metrics on the test set; call it in a confirmation, after the last epoch.

        With values on each sample, the verdict also holds for new samples. Without, it holds for new seeds on these
        samples.

        Args:
            per_sample: the values of the objective on each sample, [N], or of several metrics by name.
            ids: the samples' ids, [N]: numbers or texts that name the same sample in every training.
            metrics: the metrics, by the names of `report`.

        Raises:
            ConfigError: this is no confirmation, a metric is no number, or values and ids do not fit.
        """
        if not self.confirming:
            raise ConfigError(
                "`run.report_test` must be called in a confirmation only; write `if run.confirming:` before it, so that"
                " a search does not open the test set."
            )
        objective = self._session.objective
        given = per_sample if isinstance(per_sample, Mapping) else {} if per_sample is None else {objective: per_sample}
        samples, digest, count = in_order_of(given, ids)
        means = {name: measured.value for name, measured in samples.items()}
        values = {**means, **{name: _number(name, value) for name, value in metrics.items()}}
        if not self._session.printing and objective not in values:
            raise ConfigError(
                f"`run.report_test` must name the search's `objective`, {objective!r}, but got"
                f" {', '.join(values) or 'nothing'}."
            )
        self._notes.tested = Tested(metrics=values, samples=samples, ids=digest, count=count)
        self._session.told({f"test {name}": value for name, value in values.items()})

    def keep(self, student: nn.Module, example: Any = None) -> None:
        """Keep the trained student, so that the champion's weights can be had from the search.

        Args:
            student: the module.
            example: the inputs of one sample, with a batch dimension of 1, as the module is called with: with it, size
                and speed of the champion are measured.
        """
        state = {name: value.detach().cpu().clone() for name, value in student.state_dict().items()}
        self._notes.student = Kept(state=state, module=_packed(student, example) if self.confirming else None)

    def end(self) -> None:
        """Note what the function left; called by the search when the function has ended or was stopped."""
        self._notes.end(self._balancer)

    def _write(self, write: Callable[[pathlib.Path], object]) -> None:
        now = self._pauses.clock()
        if self._session.rank > 0 or now - self._saved_at < self._session.save_seconds:
            return
        self._saved_at = now
        if self._balancer is not None:
            self._notes.see(self._balancer)
        balancer = None if self._balancer is None else self._balancer.state_dict()
        write_snapshot(self.scratch, write, {"notes": self._notes.state_dict(), "balancer": balancer})


def option_read(name: str) -> str:
    """Return the entry of `Notes.read` for an option, whose name may be that of a setting."""
    return f"options.{name}"


class _Read(dict[str, Any]):
    """Options that note which of them are read."""

    def __init__(self, options: Mapping[str, Any], read: set[str]) -> None:
        super().__init__(options)
        self._read = read

    def __getitem__(self, name: str) -> Any:
        self._read.add(option_read(name))
        try:
            return super().__getitem__(name)
        except KeyError:
            raise ConfigError(
                f"the function reads the option {name!r}, but those given are"
                f" {', '.join(map(repr, self)) or 'none'}; add it to `function.options` in the search file, or to the"
                " `options` of `run_alone`."
            ) from None

    def get(self, name: str, default: Any = None) -> Any:
        self._read.add(option_read(name))
        return super().get(name, default)


def _packed(student: nn.Module, example: Any) -> bytes | None:
    """Pack a module with an example of its inputs; None without an example, or if its class is not in the file."""
    if example is None:
        return None
    stream = io.BytesIO()
    try:
        torch.save((student, example), stream)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return stream.getvalue()


def _number(name: str, value: object) -> float:
    try:
        if isinstance(value, bool | str):
            raise TypeError
        return float(value.detach().item() if isinstance(value, Tensor) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"the metric {name!r} must be one number, but is {type(value).__name__}: {value!r}."[:300]
        ) from error
