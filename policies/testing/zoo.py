"""Creates what every rule must handle: settings of its own parameters, ordinary and degenerate observations.

N: samples of a batch.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from policies.geometry import Geometry
from policies.parameter import Parameter, Value
from policies.policy import MEASURED, BatchPolicy, Observation, Policy
from policies.sample import SampleObservation

if TYPE_CHECKING:
    from torch import Tensor

_DRAWS = 6
_SCALES = (1e-12, 1.0, 1e12)
_COSINES = (-1.0, -0.5, 0.0, 0.5, 1.0)

GEOMETRIES = (
    *(
        Geometry(a, b, cosine * math.sqrt(a) * math.sqrt(b))
        for a, b, cosine in itertools.product(_SCALES, _SCALES, _COSINES)
    ),
    Geometry(0.0, 0.0, 0.0),
    Geometry(1.0, 0.0, 0.0),
    Geometry(0.0, 1.0, 0.0),
)
"""Short, long and vanishing gradients at all angles."""

_LOSSES = ((1.0, 2.0), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1e-30, 1e30), (1e30, 1e-30), (-1.0, 1.0), (1.0, -1.0))
_TEACHERS = ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.1, 0.1))
_RELIABILITIES = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.5))


def degenerate_streams() -> list[list[Observation]]:
    """Return short trainings with constant readings, among them losses of zero and below."""
    streams = []
    for number, geometry in enumerate((*GEOMETRIES, *GEOMETRIES)):
        task_loss, distill_loss = _LOSSES[number % len(_LOSSES)] if number < len(GEOMETRIES) else (1.0, 2.0)
        teacher, reliability = _TEACHERS[number % len(_TEACHERS)], _RELIABILITIES[number % len(_RELIABILITIES)]
        streams.append(
            [
                Observation(step, step / 2, geometry, task_loss, distill_loss, *teacher, *reliability)
                for step in range(3)
            ]
        )
    return streams


def wandering_stream(length: int = 60) -> list[Observation]:
    """Return a training whose cosine, norm ratio and teacher oscillate, while the losses fall unevenly."""
    stream = []
    for step in range(length):
        ratio, cosine = 4.0 * math.exp(math.sin(step / 5)), math.sin(step / 7)
        stream.append(
            Observation(
                step=step,
                progress=step / length,
                geometry=Geometry(ratio**2, 1.0, cosine * ratio),
                task_loss=2.3 * math.exp(-step / 30) + 0.1 * math.cos(step / 3) + 0.2,
                distill_loss=5.0 * math.exp(-step / 50) + 0.5 * math.sin(step / 4) + 1.0,
                confidence=0.6 + 0.35 * math.sin(step / 6),
                agreement=0.5 + 0.45 * math.cos(step / 8),
                class_reliability=0.5 + 0.4 * math.sin(step / 9),
                answer_reliability=0.5 + 0.4 * math.cos(step / 9),
                confidence_reliability=0.6 + 0.4 * math.sin(step / 11),
            )
        )
    return stream


def sample_batch(progress: float = 0.5, step: int = 7) -> SampleObservation:
    """Return a batch with many angles, tiny to huge norm ratios, and sure, unsure and contradicting teachers.

    Its labels are of all classes. The teacher has been reliable on them never, always or sometimes.
    """
    import torch

    rows = [
        (cosine, norm_ratio, loss_ratio, confidence, agreement)
        for cosine, norm_ratio in itertools.product(
            (-1.0, -0.5, -1e-6, 0.0, 0.3, 0.9, 1.0), (1e-12, 0.1, 0.5, 1.0, 2.0, 10.0, 1e12)
        )
        for loss_ratio, (confidence, agreement) in zip(
            (1e-12, 0.5, 2.0, 1e12), ((1.0, 1.0), (1.0, 0.0), (0.5, 0.4), (0.1, 0.1)), strict=True
        )
    ]
    number = torch.arange(len(rows))
    rates = torch.tensor([0.0, 1.0, 0.02, 0.7, 0.4])
    cosine, norm_ratio, loss_ratio, confidence, agreement = torch.tensor(rows, dtype=torch.float32).T.contiguous()
    return SampleObservation(
        step=step,
        progress=progress,
        cosine=cosine,
        norm_ratio=norm_ratio,
        loss_ratio=loss_ratio,
        confidence=confidence,
        agreement=agreement,
        label=number % 10,
        teacher_class=number % 7,
        class_reliability=rates[number % 5],
        answer_reliability=rates[(number + 1) % 5],
        confidence_reliability=rates[(number + 3) % 5],
    )


def columns_of(samples: SampleObservation) -> list[Tensor]:
    """Return the readings of the samples, each [N], in the order of the fields; a batch from here has all of them."""
    columns: list[Any] = list(samples[2:])
    return columns


def replaced(observation: Observation, fields: Sequence[str], value: float | None) -> Observation:
    """Replace some measured readings of an observation."""
    changes: dict[str, Any] = dict.fromkeys(fields, value)
    if value is not None and observation.geometry is not None and "geometry" in changes:
        changes["geometry"] = observation.geometry._replace(distill_sq=abs(value), inner=value)
    return observation._replace(**changes)


def unmeasured(observation: Observation) -> Observation:
    """Return the observation without any measurement."""
    return Observation(step=observation.step, progress=observation.progress)


def hidden(observation: Observation, policy: BatchPolicy) -> Observation:
    """Return only those readings that the policy is sure to be given."""
    asked = policy.needs if policy.measures_at(observation.step) else policy.needs & {"progress"}
    fields = [field for need, names in MEASURED.items() if need not in asked for field in names]
    shown = replaced(observation, fields, None)
    return shown if "progress" in policy.needs else shown._replace(progress=0.0)


def part_of(samples: SampleObservation, part: slice) -> SampleObservation:
    """Return some samples of a batch."""
    return SampleObservation(samples.step, samples.progress, *(tensor[part] for tensor in columns_of(samples)))


def settings(policy: type[Policy]) -> list[dict[str, Value]]:
    """Return the defaults, both ends of the search ranges, each option, and a few draws; the same each time.

    Options that are not searched are tried alone: no search combines two of them, and a rule may refuse a combination.
    """
    declared = policy.parameters()
    varied = {name: p for name, p in declared.items() if p.kind != "choice" or p.searched}
    drawn: list[dict[str, Value]] = [{}]
    drawn += [{name: _searched(parameter, end) for name, parameter in varied.items()} for end in (0.0, 1.0)]
    drawn += [{name: option} for name, parameter in declared.items() for option in parameter.options]
    generator = random.Random(0)
    for _ in range(_DRAWS):
        drawn.append({name: _searched(parameter, generator.random()) for name, parameter in varied.items()})
    return drawn


def _searched(parameter: Parameter, share: float) -> Value:
    """Return the value at a share in [0, 1] of the search range."""
    if parameter.kind == "choice":
        return parameter.options[min(int(share * len(parameter.options)), len(parameter.options) - 1)]
    low, high = parameter.search
    value = low * (high / low) ** share if parameter.log else low + share * (high - low)
    value = min(max(value, low), high)
    return round(value) if parameter.kind == "integer" else value


def valid_extremes(policy: type[Policy]) -> list[dict[str, Value]]:
    """Return both ends of the valid ranges."""
    numbers = {name: p for name, p in policy.parameters().items() if p.kind != "choice"}
    return [
        {name: int(end) if p.kind == "integer" else end for name, p in numbers.items() for end in [(p.low, p.high)[i]]}
        for i in (0, 1)
    ]
