"""Writes rules that measure along a training: their readings, their running means, and λ between two measurements."""

from __future__ import annotations

from policies.families.gradients.tree import Tree
from policies.families.reliability.means import ReliabilityPolicy
from policies.measuring import MeasuringPolicy
from policies.plain import parts
from policies.plain.gradients import Response, gradient_response
from policies.plain.losses import HELPERS, loss_response
from policies.plain.parts import Plain, indented
from policies.plain.samples import rates_of, table
from policies.plain.trees import questions
from policies.policy import BatchPolicy


def measuring_rule(policy: MeasuringPolicy) -> Plain:
    """Return the code of a rule that smooths its readings and keeps λ between two measurements."""
    arguments: tuple[str, ...] = ()
    helpers: list[str] = []
    before, state = "", ["self.weight = 0.5"]
    if isinstance(policy, ReliabilityPolicy):
        response = Response(("rate",), "self.weight = min(1.0, max(0.0, TRUST * rate))")
        counting = table(policy)
        arguments, state = counting["arguments"], [*state, *counting["state"]]
        before, measure = rates_of(policy), "rate = rates.mean().item()\n"
    else:
        found = gradient_response(policy) or loss_response(policy)
        assert found is not None  # a test goes through all families
        response = found
        geometry, more = _geometry(policy)
        arguments, helpers, measure = more, [*geometry], _measurement(policy, response)
    if "bounded(" in measure:
        helpers.append(parts.BOUNDED)
    if policy.family in HELPERS:
        helpers.append(HELPERS[policy.family])
    lines = response.lines.strip("\n") + ("\nself.weight = w_d / (w_d + w_t)" if response.published else "")
    mix = Plain.mix
    if response.published and policy.values()["scale"] == "published":
        state.append("self.scale = 1.0")
        lines += "\nself.scale = w_d + w_t"
        mix = f"self.scale * ({mix})"
    names = ", ".join(response.readings)
    if policy.smoothing:
        zeros = ", ".join(["0.0"] * len(response.readings))
        several = len(response.readings) > 1
        state.append(f"self.totals, self.share = [{zeros}], 0.0" if several else "self.total, self.share = 0.0, 0.0")
        lines = _averaged(response.readings) + lines
    known = f"all(map(math.isfinite, ({names})))" if len(response.readings) > 1 else f"math.isfinite({names})"
    return Plain(
        form="losses" if policy.looks_at == "losses" else "logits",
        arguments=arguments,
        helpers=tuple(helpers),
        state=(*state, *response.state),
        before=before,
        readings=f"{measure}if {known}:\n{indented(lines, 1)}\n",
        mix=mix,
    )


def _averaged(readings: tuple[str, ...]) -> str:
    names = ", ".join(readings)
    if len(readings) == 1:
        return (
            f"self.total = SMOOTHING * self.total + (1.0 - SMOOTHING) * {names}\n"
            "self.share = SMOOTHING * self.share + (1.0 - SMOOTHING)\n"
            f"{names} = self.total / self.share  # the running mean\n"
        )
    return (
        f"self.totals = [\n    SMOOTHING * total + (1.0 - SMOOTHING) * reading\n"
        f"    for total, reading in zip(self.totals, ({names}))\n]\n"
        "self.share = SMOOTHING * self.share + (1.0 - SMOOTHING)\n"
        f"{names} = (total / self.share for total in self.totals)  # the running means\n"
    )


def _geometry(policy: BatchPolicy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the functions and the arguments that measuring gradients needs, if the rule does."""
    if "geometry" not in policy.needs:
        return (), ()
    how = policy.measurement
    function = parts.GEOMETRY_OF_HALVES if how.pair == "halves" else parts.GEOMETRY
    return (function,), () if how.tier == "logit" else ("parameters",)


def _measurement(policy: BatchPolicy, response: Response) -> str:
    lines = []
    if "geometry" in policy.needs:
        lines.append(_geometry_line(policy))
    if "log_loss_ratio" in response.readings:
        lines.append("log_loss_ratio = math.log(bounded(distill_loss)) - math.log(bounded(task_loss))")
    if "log_task" in response.readings:
        lines.append("log_distill, log_task = math.log(bounded(distill_loss)), math.log(bounded(task_loss))")
    return "\n".join(lines) + "\n"


def _geometry_line(policy: BatchPolicy) -> str:
    how = policy.measurement
    losses = "task_losses, distill_losses" if how.pair == "halves" else "task_loss, distill_loss"
    return f"log_ratio, cosine = geometry({losses}, {'[student_logits]' if how.tier == 'logit' else 'self.parameters'})"


_TREE_READINGS = {
    "norm_ratio": "log_ratio",
    "cosine": "cosine",
    "loss_ratio": "math.log(bounded(task_loss)) - math.log(bounded(distill_loss))",
    "confidence": "teacher.amax(dim=1).mean().item()",
    "agreement": "teacher.gather(1, labels[:, None]).mean().item()",
}


def tree_rule(policy: Tree) -> Plain:
    """Return the code of a tree, which smooths each reading by itself."""
    helpers, arguments = _geometry(policy)
    names = [feature.name for feature in policy._measured]
    before = after = readings = ""
    state: tuple[str, ...] = ()
    if names:
        state = (f"self.means = {{{', '.join(f'{name!r}: math.nan' for name in names)}}}".replace("'", '"'),)
        lines = [_geometry_line(policy)] if "geometry" in policy.needs else []
        lines += ["teacher = torch.softmax(teacher_logits, dim=1)"] if "teacher" in policy.needs else []
        read = "".join(f'    "{name}": {_TREE_READINGS[name]},\n' for name in names)
        keep = "        self.means[name] = reading"
        if policy.smoothing:
            state += ("self.sums = {}",)
            keep = (
                "        total, share = self.sums.get(name, (0.0, 0.0))\n"
                "        total = SMOOTHING * total + (1.0 - SMOOTHING) * reading\n"
                "        share = SMOOTHING * share + (1.0 - SMOOTHING)\n"
                "        self.sums[name], self.means[name] = (total, share), total / share"
            )
        lines += [
            f"readings = {{\n{read}}}",
            "for name, reading in readings.items():",
            "    if math.isfinite(reading):",
            keep,
        ]
        readings = "\n".join(lines)
        for feature in policy._measured:
            mean = f'self.means["{feature.name}"]'
            after += f"{feature.name} = {f'math.exp({mean})' if feature.log else mean}\n"
    if "progress" in policy.needs:
        before, arguments = "progress = min(1.0, self.step / self.total_steps)", (*arguments, "total_steps")
    return Plain(
        form="losses" if policy.looks_at == "losses" else "logits",
        arguments=arguments,
        helpers=(*helpers, *((parts.BOUNDED,) if "losses" in policy.needs else ())),
        state=state,
        before=before,
        readings=readings,
        after=after + questions(policy),
        mix="weight * distill_loss + (1.0 - weight) * task_loss",
    )
