"""Writes a rule as a Python file that needs PyTorch and nothing of this package."""

from __future__ import annotations

import re
import textwrap

from policies.errors import PolicyError
from policies.extensions import origin_of
from policies.families.gradients.tree import Tree
from policies.measuring import MeasuringPolicy
from policies.plain import parts
from policies.plain.losses import schedule
from policies.plain.measuring import measuring_rule, tree_rule
from policies.plain.parts import Plain, indented
from policies.plain.samples import sample_rule
from policies.policy import BatchPolicy, Policy

_WIDTH = 110
_WIDE_ABOVE = 20.0
"""The temperature above which the package computes the distillation loss in double precision."""

_MEASURED_AT = {
    "full": "the student's parameters that are trained",
    "last_block": "the parameters of the student's last layer with weights, and of what follows it",
}


def plain_rule(policy: Policy, *, temperature: float, label_smoothing: float = 0.0) -> str:
    """Return the text of a Python file that trains under a rule.

    A training with it equals one under `LossBalancer` without a guard, up to rounding.

    Args:
        policy: the rule, of a built-in family.
        temperature: T of the distillation loss.
        label_smoothing: the share of the label's mass that the task loss spreads over all classes.

    Raises:
        PolicyError: the rule is a class of the user's own, whose code is in the user's file.
    """
    plain = _plain(policy)
    by_sample = plain.form == "logits"
    losses = (parts.SAMPLE_LOSSES if by_sample else parts.MEAN_LOSSES).strip("\n")
    losses = losses.replace("{smoothing}", f", label_smoothing={label_smoothing!r}" if label_smoothing else "")
    losses = losses.replace("{wide}", ".double()" if temperature > _WIDE_ABOVE else "")
    functions = [losses, *(helper.strip("\n") for helper in plain.helpers)]
    code = "\n\n\n".join([*functions, _class(plain)])
    constants = [f"T = {temperature!r}  # temperature of the distillation loss", *_constants(policy, code)]
    imports = [
        *(["import math", ""] if "math." in code else []),
        *(["import torch"] if "torch." in code else []),
        "import torch.nn.functional as F",
    ]
    head = _head(policy, plain, temperature)
    return "\n".join([head, "", *imports, "", *constants, "", "", code, ""])


def _plain(policy: Policy) -> Plain:
    origin = origin_of(type(policy))
    if origin is not None:
        raise PolicyError(
            f"`{policy.family}` is a rule of your own, which has no plain form: its code is {origin}. Train under it by"
            " `LossBalancer`, or copy that class's formula."
        )
    found = schedule(policy) or sample_rule(policy)
    if found is not None:
        return found
    if isinstance(policy, Tree):
        return tree_rule(policy)
    assert isinstance(policy, MeasuringPolicy)  # all other built-in families measure
    return measuring_rule(policy)


def _class(plain: Plain) -> str:
    """Return the class `Rule`."""
    by_sample = plain.form == "logits"
    used = "".join([plain.before, plain.readings, plain.after])
    body = []
    if by_sample:
        body.append("task_losses, distill_losses = losses(student_logits, teacher_logits, labels)")
        if "distill_losses" not in plain.mix:
            body.append("task_loss, distill_loss = task_losses.mean(), distill_losses.mean()")
    body += [plain.before.strip("\n")] if plain.before.strip() else []
    if plain.readings:
        body.append(f"if self.step % MEASURE_EVERY == 0:\n{indented(plain.readings, 1)}")
    body += [plain.after.strip("\n")] if plain.after else []
    counts = "self.step" in used or bool(plain.readings)
    body += ["self.step += 1"] if counts else []
    is_call = plain.mix.endswith(".mean()") or plain.mix.isidentifier()
    body.append(f"{plain.mix if is_call else f'({plain.mix})'}.backward()")
    state = [f"self.{name} = {name}" for name in plain.arguments if name not in ("classes", "device", "parameters")]
    if "parameters" in plain.arguments:
        state.append("self.parameters = [p for p in parameters if p.requires_grad]")
    state += [*(["self.step = 0"] if counts else []), *plain.state]
    arguments = "student_logits, teacher_logits, labels" if by_sample else "task_loss, distill_loss"
    lines = ["class Rule:", '    """Chooses λ at each step, and walks the mixed loss backward."""', ""]
    if state:
        given = [f'{name}="cpu"' if name == "device" else name for name in plain.arguments]
        lines += [f"    def __init__({', '.join(['self', *given])}):", indented("\n".join(state), 2), ""]
    lines += [
        f"    def backward(self, {arguments}):",
        '        """Add the mixed gradient to `.grad`, as loss.backward() does; once a step of the optimiser."""',
        indented("\n".join(body), 2),
    ]
    return "\n".join(lines)


def _constants(policy: Policy, code: str) -> list[str]:
    """Return the parameters that the code reads, with their meanings."""
    values, lines = policy.values(), []
    for name, parameter in policy.parameters().items():
        if re.search(rf"\b{name.upper()}\b", code):
            setting, comment = f"{name.upper()} = {values[name]!r}", f"# {parameter.meaning}"
            lines += [f"{setting}  {comment}"] if len(setting + comment) <= _WIDTH else [comment, setting]
    return lines


def _head(policy: Policy, plain: Plain, temperature: float) -> str:
    """Return the file's docstring: the rule, how to train under it, and the parts that are left out."""
    call = (
        "rule.backward(student_logits, teacher_logits, labels)"
        if plain.form == "logits"
        else "rule.backward(*losses(student_logits, teacher_logits, labels))"
    )
    given = {
        "parameters": "parameters",
        "total_steps": "total_steps=epochs * len(loader)",
        "classes": "classes",
        "device": "device",
    }
    sentences = []
    if "parameters" in plain.arguments:
        assert isinstance(policy, BatchPolicy)
        sentences.append(
            f"`parameters` are {_MEASURED_AT[policy.measurement.tier]}. A step that measures them takes two more"
            " backward passes."
        )
    if plain.form == "logits":
        sentences.append("`labels` are class numbers. Losses of your own go into `losses`, one for each sample.")
    else:
        sentences.append("Losses of your own go to `backward` in the same way: two numbers over one graph.")
    sentences.append(
        "Left out, beside `LossBalancer`: its guard against broken batches, accumulation, several processes, gradient"
        " scaling, and resuming in the middle of a training."
    )
    example = f"""    rule = Rule({", ".join(given[name] for name in plain.arguments)})
    for images, labels in loader:
        student_logits = student(images)
        with torch.no_grad():
            teacher_logits = teacher(images)
        optimizer.zero_grad()
        {call}  # instead of loss.backward()
        optimizer.step()"""
    written = f"Plain PyTorch, written by kd-policy-search: the rule `{policy.family}` at temperature {temperature:g}."
    first = textwrap.fill(policy.rule(), _WIDTH)
    return "\n".join(['"""' + first, "", written, "", example, "", textwrap.fill(" ".join(sentences), _WIDTH), '"""'])
