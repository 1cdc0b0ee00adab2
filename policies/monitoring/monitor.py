"""Logs what a rule does in a training, rings if its readings leave their range, and falls back to a constant by choice.

A monitor reads only what the balancer has on the host anyway. So it waits for no device, apart from two losses at most
once in `every` steps, where nothing else reads them.
"""

from __future__ import annotations

import logging
import pathlib
import time
import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from policies.errors import PolicyError
from policies.monitoring.alarm import Alarm, RangeAlarm
from policies.monitoring.changes import Changes
from policies.monitoring.log import FORMAT, VERSION
from policies.monitoring.ranges import ConstantRule, read_constant, read_ranges
from policies.monitoring.sinks import JsonLines, Record, Sink
from policies.monitoring.windows import READINGS, WORDS, Means, readings_of

if TYPE_CHECKING:
    from policies.balancer import LossBalancer
    from policies.update.base import Step

MOST_DECISIONS = 20_000
"""The most decisions that are logged; a rule that changes at every step would fill the disk."""

_log = logging.getLogger(__name__)

Target = str | pathlib.Path | Sink


class Monitor:
    """Watches all updates of a balancer. It needs no further call in the training loop.

        balancer = LossBalancer.from_file("policy.json", student, total_steps=updates)
        Monitor(balancer, to="kd-policy.jsonl", fallback="constant")

    The alarm needs the confirmed ranges of a `policy.json`, and `total_steps`, since ranges belong to a training's
    progress. `alarm_off` tells why it is off otherwise. An alarm is a warning of Python's `logging`, and a record.

    Args:
        balancer: the balancer; it has one monitor at most.
        to: where the log goes: a file's name, a sink, or several of them. Of several processes, the first one writes.
        every: steps between two records of readings, each of which holds their means.
        fallback: with "constant", the balancer goes on with the best constant of the search after the first alarm.
        watch: the readings that may ring; by default all that have a range.

    Attributes:
        alarms: the alarms so far; each reading rings once, until `reset`.
        alarm_off: the reason why no alarm can ring; empty if one can.

    Raises:
        PolicyError: the balancer has a monitor. `every` is no positive number, or `watch` names a reading without a
            range. `fallback` is asked for where no alarm can ring, or where the file has no constant. A log cannot be
            written.
    """

    def __init__(
        self,
        balancer: LossBalancer,
        to: Target | Iterable[Target] = (),
        *,
        every: int = 50,
        fallback: Literal["constant"] | None = None,
        watch: Collection[str] | None = None,
    ) -> None:
        if every < 1:
            raise PolicyError(f"`every` must be at least 1, but got {every!r}.")
        self.every = every
        self.alarms: list[Alarm] = []
        self._balancer = weakref.ref(balancer)
        document = balancer.document or {}
        self._alarm, self.alarm_off = _alarm_of(balancer, document, watch)
        self._fallback = _constant_of(document, fallback, self.alarm_off)
        self._changes = Changes()
        self._means = Means()
        self._rung: set[str] = set()
        self._decisions = 0
        self._skipped = self._interventions = 0
        self._records: list[Record] = []
        self._last = balancer.step - 1
        self._begun = False
        self._closed = False
        self._sinks = _sinks_of(to)
        balancer.attach(self)
        self._finalizer = weakref.finalize(balancer, self.close)  # at the latest when the program ends

    def note(self, step: Step) -> None:
        """Note an update. The balancer calls it after each one."""
        if not self._begun:
            self._begin(step.step)
        self._last = step.step
        readings = readings_of(step)
        self._means.add(readings)
        self._interventions += step.intervention is not None
        if self._changes.look(step):
            self._note_decision(step, readings)
        if self._alarm is not None and self._following:
            found = self._alarm.note(step.step, readings)
            if found:
                self._ring(found)
        if self._means.steps >= self.every:
            self._note_means(step)
            self._send()

    def reset(self) -> None:
        """Return to the rule after a fall-back, and let every reading ring again, from the next window on."""
        self._rung.clear()
        if self._alarm is not None:
            self._alarm.forget(max(self._last, 0))
        balancer = self._balancer()
        if balancer is not None and balancer.fallen_back is not None:
            balancer.follow_rule()
        self._add("reset", self._last, text="reset by the user: the rule decides again")
        self._send()

    def close(self) -> None:
        """Write what is left, and close the sinks; done by itself when the balancer or the program ends."""
        if self._closed:
            return
        self._closed = True
        self._finalizer.detach()
        if self._begun:
            self._add("end", self._last)
            self._send()
        for sink in self._sinks:
            self._try(sink, sink.close)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    @property
    def _following(self) -> bool:
        """True while the rule decides; its ranges say nothing about a training under the constant."""
        balancer = self._balancer()
        return balancer is None or balancer.fallen_back is None

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON values; the balancer's own state holds it."""
        return {
            "alarm": None if self._alarm is None else self._alarm.state_dict(),
            "alarms": [list(alarm) for alarm in self.alarms],
            "rung": sorted(self._rung),
            "changes": self._changes.state_dict(),
            "means": self._means.state_dict(),
            "counts": [self._decisions, self._interventions],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`; the balancer calls it."""
        if self._alarm is not None and state["alarm"] is not None:
            self._alarm.load_state_dict(state["alarm"])
        self.alarms = [Alarm(*alarm) for alarm in state["alarms"]]
        self._rung = set(state["rung"])
        self._changes.load_state_dict(state["changes"])
        self._means.load_state_dict(state["means"])
        self._decisions, self._interventions = state["counts"]
        self._records = []
        self._begun = False

    def _begin(self, step: int) -> None:
        self._begun = True
        balancer = self._balancer()
        assert balancer is not None  # it has called
        document = balancer.document or {}
        policy = balancer.policy
        self._add(
            "start",
            step,
            format=FORMAT,
            version=VERSION,
            policy={"family": policy.family, "parameters": policy.values(), "rule": policy.rule()},
            temperature=balancer.temperature,
            total_steps=balancer.total_steps,
            every=self.every,
            alarm_off=self.alarm_off,
            watch=[] if self._alarm is None else list(self._alarm.watched),
            monitoring=document.get("monitoring"),
            constant=None if self._fallback is None else self._fallback._asdict(),
        )
        if self.alarm_off:
            _log.info("no alarm can ring: %s", self.alarm_off)

    def _note_decision(self, step: Step, readings: Mapping[str, float]) -> None:
        if self._decisions >= MOST_DECISIONS:
            return
        self._decisions += 1
        decision = step.decision
        self._add(
            "decision",
            step.step,
            progress=step.observation.progress,
            weight=decision.weight,
            scale=decision.scale,
            branch=decision.branch,
            reason=decision.reason,
            intervention=step.intervention,
            readings={name: value for name, value in readings.items() if name != "weight"},
        )

    def _note_means(self, step: Step) -> None:
        means = self._means.means()
        if self._sinks:
            for name, loss in (("task_loss", step.task_loss), ("distill_loss", step.distill_loss)):
                if name not in means:
                    means[name] = float(loss)
        self._add(
            "readings",
            step.step,
            progress=step.observation.progress,
            steps=self._means.steps,
            means=means,
            scale=step.decision.scale,
            branch=step.decision.branch,
            interventions=self._interventions,
        )
        self._means = Means()

    def _ring(self, found: Sequence[Alarm]) -> None:
        new = [alarm for alarm in found if alarm.reading not in self._rung]
        for alarm in new:
            self._rung.add(alarm.reading)
            self.alarms.append(alarm)
            _log.warning("step %d: %s", alarm.step, alarm.text)
            self._add("alarm", alarm.step, **{k: v for k, v in alarm._asdict().items() if k != "step"}, text=alarm.text)
        balancer = self._balancer()
        if new and self._fallback is not None and balancer is not None:
            weight, temperature = self._fallback
            reason = new[0].text
            balancer.fall_back(weight, temperature=temperature, reason=reason)
            left = f"{WORDS[new[0].reading]} left its range"
            text = f"fell back to the constant λ = {weight:.3g} at temperature {temperature:g}, since {left}"
            _log.warning("step %d: %s", self._last, text)
            self._add("fall_back", self._last, weight=weight, temperature=temperature, reason=reason, text=text)
        if new:
            self._send()

    def _add(self, kind: str, step: int, **fields: Any) -> None:
        if self._sinks:
            self._records.append({"kind": kind, "step": step, "time": time.time(), **fields})

    def _send(self) -> None:
        records, self._records = self._records, []
        if records:
            for sink in self._sinks:
                self._try(sink, sink.write, records)

    def _try(self, sink: Sink, call: Any, *arguments: Any) -> None:
        """Call a sink. A log that fails must not end a training, so the sink is given up with a warning."""
        try:
            call(*arguments)
        except Exception as error:  # a sink may be anyone's, and may fail in any way
            self._sinks = [other for other in self._sinks if other is not sink]
            _log.warning(
                "the log to %s ends at step %d, and the training goes on (%s: %s)",
                type(sink).__name__,
                self._last,
                type(error).__name__,
                error,
            )


def _alarm_of(
    balancer: LossBalancer, document: dict[str, Any], watch: Collection[str] | None
) -> tuple[RangeAlarm | None, str]:
    """Return the alarm, or None and the reason."""
    ranges = read_ranges(document)
    for name in watch or ():
        if name not in READINGS or (ranges is not None and name not in ranges.readings):
            known = READINGS if ranges is None else ranges.readings
            raise PolicyError(f"`watch` names {name!r}, but readings with a range are {', '.join(known)}.")
    if balancer.document is None:
        return None, "the balancer was not created from a policy.json, so no range is known"
    if ranges is None:
        return None, (
            "the policy.json has no confirmed ranges; `kd-search report NAME` writes them if five or more trainings of"
            " this rule were recorded by this release"
        )
    if balancer.total_steps is None:
        return None, "the balancer has no `total_steps`, and ranges belong to a training's progress"
    return RangeAlarm(ranges, balancer.total_steps, watch), ""


def _constant_of(document: dict[str, Any], fallback: object, alarm_off: str) -> ConstantRule | None:
    if fallback is None:
        return None
    if fallback != "constant":
        raise PolicyError(f'`fallback` must be "constant" or None, but got {fallback!r}.')
    if alarm_off:
        raise PolicyError(f'`fallback` is "constant", but no alarm can ring: {alarm_off}.')
    constant = read_constant(document)
    if constant is None:
        raise PolicyError(
            '`fallback` is "constant", but the policy.json names no constant, since its rule is one itself or the'
            " search finished none; leave `fallback` out."
        )
    return constant


def _sinks_of(to: Target | Iterable[Target]) -> list[Sink]:
    targets = [to] if isinstance(to, str | pathlib.Path | Sink) else list(to)
    for target in targets:
        if not isinstance(target, str | pathlib.Path | Sink):
            raise PolicyError(
                f"`to` must be file names or sinks, which have `write` and `close`, but got {type(target).__name__}."
            )
    if not _first_process():
        return []
    return [JsonLines(target) if isinstance(target, str | pathlib.Path) else target for target in targets]


def _first_process() -> bool:
    import torch.distributed as dist

    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0
