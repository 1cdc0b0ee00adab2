"""Checks the contract of a λ rule: `check_policy(MyRule)` raises AssertionError at the first broken clause.

Each clause is a function that takes the class, so that a test suite can run them one by one:

    @pytest.mark.parametrize("clause", clauses_of(MyRule), ids=lambda clause: clause.__name__)
    def test_my_rule_keeps_the_contract(clause):
        clause(MyRule)

The built-in families must keep the same clauses. Only rules of sample scope need PyTorch here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from policies.contract import Clause, clause, require
from policies.errors import PolicyError
from policies.extensions import check_class, told
from policies.parameter import Value
from policies.policy import MEASURED, BatchPolicy, Decision, Observation, Policy
from policies.sample import SamplePolicy
from policies.testing.zoo import (
    columns_of,
    degenerate_streams,
    hidden,
    part_of,
    replaced,
    sample_batch,
    settings,
    unmeasured,
    valid_extremes,
    wandering_stream,
)

COMMON: list[Clause] = []
"""The clauses for all rules, in the order in which they are checked."""
BATCH: list[Clause] = []
"""The further clauses for rules of batch scope."""
SAMPLE: list[Clause] = []
"""The further clauses for rules of sample scope."""

_TOLERANCE = 1e-6  # of λ in float32, when a sample is weighed alone


def check_policy(policy: type[Policy]) -> None:
    """Check that a class keeps the contract.

    Raises:
        AssertionError: a clause is broken; the message says which, and how.
    """
    for checked in clauses_of(policy):
        checked(policy)


def clauses_of(policy: type[Policy]) -> tuple[Clause, ...]:
    """Return the clauses that apply to a class; the first checks that it is a rule."""
    return (*COMMON, *(SAMPLE if isinstance(policy, type) and issubclass(policy, SamplePolicy) else BATCH))


def _clause(group: list[Clause]) -> Callable[[Clause], Clause]:
    """Add a clause to a group; it takes the class as it is."""
    return clause(group, lambda policy: policy, lambda policy: getattr(policy, "__name__", repr(policy)))


@_clause(COMMON)
def is_complete(policy: type[Policy]) -> None:
    """The class is a rule with a family, a source and a docstring, and its parameters have defaults."""
    check_class(policy)


@_clause(COMMON)
def parameters_are_checked(policy: type[Policy]) -> None:
    """Every parameter has a meaning, and an invalid value raises an error that names the parameter."""
    for name, parameter in policy.parameters().items():
        require(bool(parameter.meaning.strip()), f"`{name}` has no meaning")
        bad: list[object] = ["0.5", True, None, math.nan]
        if parameter.kind != "choice":
            require(
                parameter.low <= float(parameter.default) <= parameter.high,
                f"the default of `{name}` is not in [{parameter.low:g}, {parameter.high:g}]",
            )
            bad += [parameter.high + 1, parameter.low - 1]
        for value in bad:
            try:
                policy.from_parameters({name: value})
            except PolicyError as error:
                named = f"{policy.family}.{name}" in str(error) and "got" in str(error)
                require(named, f"the error for {name}={value!r} does not name it: {error}")
            else:
                raise AssertionError(f"{name}={value!r} is accepted")


@_clause(COMMON)
def values_survive(policy: type[Policy]) -> None:
    """The rule can be created with any values that a search may try, and it returns them unchanged."""
    for values in settings(policy):
        kept = _created(policy, values).values()
        require({**kept, **values} == kept, f"created {_with(values)}, its values are {kept}")


@_clause(COMMON)
def rule_is_a_sentence(policy: type[Policy]) -> None:
    """The rule is one sentence about λ and has a short form; its complexity is at most the number of its parameters."""
    for values in settings(policy):
        made = _created(policy, values)
        rule = made.rule()
        good = rule.startswith("λ") and rule.endswith(".") and "\n" not in rule and "nan" not in rule
        require(good, f"rule() must be one sentence from 'λ' to '.', but {_with(values)} it is {rule!r}")
        label = made.short_rule()
        good = isinstance(label, str) and bool(label.strip()) and label.isprintable() and "nan" not in label.split()
        require(good, f"short_rule() must be one short line, but {_with(values)} it is {label!r}")
        count, most = made.complexity, len(made.parameters())
        least = min(1, most)
        good = isinstance(count, int) and least <= count <= most
        require(good, f"complexity must be from {least} to {most} (all its parameters), but is {count!r}")


@_clause(COMMON)
def needs_are_known(policy: type[Policy]) -> None:
    """The rule's needs are among progress, geometry, losses, teacher and reliability, and do not change."""
    made = _created(policy, {})
    before = made.needs
    unknown = set(before) - {"progress", *MEASURED}
    require(not unknown, f"unknown needs {sorted(unknown)}; known: progress, {', '.join(MEASURED)}")
    if isinstance(made, BatchPolicy):
        _decide(made, wandering_stream(10))
    require(made.needs == before, f"needs were {sorted(before)} and became {sorted(made.needs)}")


@_clause(BATCH)
def decisions_are_in_range(policy: type[BatchPolicy]) -> None:
    """λ is finite and in [0, 1], s finite and positive, and there is a reason, whatever is observed."""
    for values in [*settings(policy), *valid_extremes(policy)]:
        for stream in [*degenerate_streams(), [unmeasured(o) for o in wandering_stream(3)]]:
            made = _created(policy, values)
            for observation in stream:
                decision = made.decide(observation)
                good = isinstance(decision, Decision) and 0.0 <= decision.weight <= 1.0
                good = good and math.isfinite(decision.scale) and decision.scale > 0.0 and bool(decision.reason)
                require(good, f"{decision} {_with(values)} at {observation}")


@_clause(BATCH)
def broken_measurements_are_passed_over(policy: type[BatchPolicy]) -> None:
    """A measurement that is not finite has the same effect as a missing one, then and later."""
    stream = wandering_stream(20)
    for values in settings(policy):
        needs = _created(policy, values).needs - {"progress"}
        needed = [field for need in sorted(needs) for field in MEASURED[need]]
        for broken in [*([field] for field in needed), needed]:
            for value in (math.nan, math.inf, -math.inf):
                touched, untouched = _created(policy, values), _created(policy, values)
                ours = _decide(touched, [*stream[:10], replaced(stream[10], broken, value), *stream[11:]])
                theirs = _decide(untouched, [*stream[:10], replaced(stream[10], broken, None), *stream[11:]])
                _same(ours, theirs, f"with {', '.join(broken)} = {value} at step 10 instead of None")


@_clause(BATCH)
def training_resumes_exactly(policy: type[BatchPolicy]) -> None:
    """The rule's state can be stored as JSON; a new policy that loads it decides as the old one would have."""
    stream = wandering_stream()
    for values in settings(policy):
        whole, first, second = (_created(policy, values) for _ in range(3))
        expected = _decide(whole, stream)
        _decide(first, stream[:31])
        state = json.loads(json.dumps(first.state_dict(), allow_nan=False))
        second.load_state_dict(state)
        require(second.state_dict() == state, "a state that was loaded differs from the one that was saved")
        _same(_decide(second, stream[31:]), expected[31:], f"after a resume {_with(values)}")
        after = unmeasured(stream[-1])
        _same([second.decide(after)], [whole.decide(after)], "without a measurement after a resume")


@_clause(BATCH)
def instances_are_independent(policy: type[BatchPolicy]) -> None:
    """The same observations lead to the same decisions, whatever other policies have seen."""
    stream = wandering_stream()
    for values in settings(policy):
        first, second = _created(policy, values), _created(policy, values)
        _same(_decide(first, stream), _decide(second, stream), f"in a second training {_with(values)}")


@_clause(BATCH)
def needs_suffice(policy: type[BatchPolicy]) -> None:
    """Readings that the rule does not ask for at a step change nothing; it asks for none that it does not need."""
    for values in settings(policy):
        seeing, blind = _created(policy, values), _created(policy, values)
        stream = wandering_stream()
        asked_for = [hidden(observation, blind) for observation in stream]
        _same(
            _decide(blind, asked_for),
            _decide(seeing, stream),
            f"without what `needs` = {sorted(blind.needs)} and `measures_at` do not ask for, {_with(values)}",
        )
        if blind.needs <= {"progress"}:
            asked = [step for step in range(100) if blind.measures_at(step)]
            require(not asked, f"measures at step {asked[:1]}, but needs no measurement")


@_clause(SAMPLE)
def weights_are_in_range(policy: type[SamplePolicy]) -> None:
    """λ has the samples' shape and dtype, is finite and in [0, 1], and the observation is not changed."""
    import torch

    for values in [*settings(policy), *valid_extremes(policy)]:
        samples, untouched = sample_batch(), sample_batch()
        weights = _created(policy, values).weights(samples)
        like = samples.norm_ratio
        good = isinstance(weights, torch.Tensor) and weights.shape == like.shape and weights.dtype == like.dtype
        got = f"{list(weights.shape)} of {weights.dtype}" if isinstance(weights, torch.Tensor) else repr(weights)
        require(good, f"weights must be {list(like.shape)} of {like.dtype}, but are {got}")
        outside = ~((weights >= 0.0) & (weights <= 1.0))
        if outside.any():
            at = int(outside.nonzero()[0, 0])
            raise AssertionError(f"λ = {weights[at]} {_with(values)} at {part_of(samples, slice(at, at + 1))}")
        for before, after in zip(columns_of(untouched), columns_of(samples), strict=True):
            require(torch.equal(before, after), "the rule changed the observation's tensors")


@_clause(SAMPLE)
def samples_are_weighed_alone(policy: type[SamplePolicy]) -> None:
    """A sample's λ is the same in any batch."""
    samples = sample_batch()
    for values in settings(policy):
        made = _created(policy, values)
        together = made.weights(samples)
        for at in range(0, len(together), 7):
            alone = made.weights(part_of(samples, slice(at, at + 1)))
            require(
                abs(float(alone[0]) - float(together[at])) <= _TOLERANCE,
                f"λ is {float(together[at])} in a batch and {float(alone[0])} alone, {_with(values)}",
            )


@_clause(SAMPLE)
def readings_are_declared(policy: type[SamplePolicy]) -> None:
    """λ depends on the teacher's answers and on its reliability only if the rule's needs include them."""
    import torch

    samples = sample_batch()
    for need, words, fields in (
        ("teacher", "the teacher's and the label's answers", ("confidence", "agreement", "label", "teacher_class")),
        ("reliability", "the teacher's reliability", MEASURED["reliability"]),
    ):
        bare = samples._replace(**dict.fromkeys(fields))  # type: ignore[arg-type]
        for values in settings(policy):
            made = _created(policy, values)
            if need in made.needs:
                continue
            try:
                same = torch.equal(made.weights(bare), made.weights(samples))
            except (TypeError, AttributeError) as error:
                raise AssertionError(
                    f"it reads more than `needs` = {sorted(made.needs)} ({told(error)}); add {need!r}"
                ) from error
            require(same, f"λ depends on {words}, which `needs` does not name, {_with(values)}")


@_clause(SAMPLE)
def progress_is_declared(policy: type[SamplePolicy]) -> None:
    """λ does not depend on the step, nor on progress unless the rule needs it; the rule keeps no state."""
    import torch

    for values in settings(policy):
        made = _created(policy, values)
        first = made.weights(sample_batch(0.0, 0))
        other = sample_batch(0.0 if "progress" in made.needs else 1.0, 900)
        require(torch.equal(first, made.weights(other)), f"λ depends on the step, {_with(values)}")
        require(made.state_dict() == {}, "a rule of sample scope must not keep state")


def _created(policy: type[Any], values: dict[str, Value]) -> Any:
    """Create a policy with these values; one that measures does so at every step unless they say otherwise."""
    if "measure_every" in policy.parameters():
        values = {"measure_every": 1, **values}
    return policy.from_parameters(values)


def _with(values: dict[str, Value]) -> str:
    """`with threshold=0.3`, or `with its defaults`."""
    return "with " + (", ".join(f"{name}={value!r}" for name, value in values.items()) or "its defaults")


def _decide(policy: BatchPolicy, stream: Iterable[Observation]) -> list[Decision]:
    return [policy.decide(observation) for observation in stream]


def _same(ours: list[Decision], theirs: list[Decision], when: str) -> None:
    """Check that λ, s and branch are equal; reasons may differ."""
    for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one._replace(reason="") != other._replace(reason=""):
            raise AssertionError(f"{when}, decision {place} is {one}, not {other}")
