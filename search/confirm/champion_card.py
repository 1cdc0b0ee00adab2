"""Describes a champion's student, as Markdown and as data: how to load it, what it reads, what it is worth."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from policies.errors import KDPolicySearchError
from policies.plain.writing import plain_rule
from policies.registry import create_policy
from search.confirm.champion import Champion
from search.confirm.champion_exports import STUDENT_FILE, read_exports
from search.confirm.champion_usage import files_of, loading_elsewhere, shapes_of
from search.wording import count, number
from trainables.models import own_constructor
from trainables.pictures import PictureFormat
from trainables.suggestion import options_of

POLICY_FILE = "policy.json"
VERDICT_FILE = "verdict.json"
CARD_FILE = "README.md"
RULE_FILE = "rule.py"

ALIAS = "champion"
"""The alias of the version in MLflow's model registry."""


def evidence_files(champion: Champion) -> dict[str, bytes]:
    """Return policy, rule, verdict and card, as path -> content."""
    rule, _ = _plain_rule(champion)
    return {
        POLICY_FILE: _json(champion.policy),
        **({RULE_FILE: rule.encode()} if rule else {}),
        VERDICT_FILE: _json(verdict_document(champion)),
        CARD_FILE: card(champion).encode(),
        **{own.file: own.source.encode() for own in (champion.task, champion.function) if own is not None},
        **({champion.own_file: champion.student.source.encode()} if champion.own_file else {}),
    }


def verdict_document(champion: Champion) -> dict[str, Any]:
    """Return the verdict and its evidence, for programs. Scores are turned so that higher is better."""
    return {
        "search": champion.search,
        "verdict": champion.verdict.model_dump(mode="json"),
        "finalist": champion.finalist.model_dump(mode="json"),
        "seed": champion.result.seed,
        "student": {
            "validation": champion.result.validation.model_dump(mode="json"),
            "test": champion.result.test.model_dump(mode="json"),
            "own_kpis": champion.result.own_kpis,
        },
        "row": champion.comparison.of(champion.finalist.key).model_dump(mode="json"),
        "objective": champion.scale.objective.model_dump(mode="json"),
    }


def card(champion: Champion, folder: pathlib.Path | None = None) -> str:
    """Write the model card, as Markdown.

    Args:
        champion: the champion.
        folder: the folder with its files, which the card then lists and shows how to load; None to leave them out.
    """
    row, scale = champion.comparison.of(champion.finalist.key), champion.scale
    seeds = count(len(row.seeds), "fresh seed")
    rule, why_not = _plain_rule(champion)
    plain = f"`{RULE_FILE}` is the same rule as plain PyTorch, without this package." if rule else why_not
    lines = [
        f"# {champion.search}: a student trained under {champion.title}",
        "",
        *([] if champion.verdict.worth is None else [f"**{champion.verdict.worth.text}**", ""]),
        f"**{champion.verdict.headline}**",
        "",
        champion.verdict.evidence,
        "",
        "## The student",
        "",
        f"The model is `{champion.student.name}`, trained under seed {champion.result.seed}: of"
        f" {_chosen_from(champion, seeds)} the one with the {_highest(champion)} {scale.on('validation')}. The test set"
        f" had no {'part' if champion.passing is None else 'other part'} in this choice. Its"
        f" own test {_own_score(champion)}; the {seeds}"
        f" reach {scale.value(row.test)} {scale.spread(row.spread)} of {scale.on('test')}, which is what to expect of"
        " another training.".replace("  ", " "),
        "",
        *_use(champion, folder),
        "## How it was trained",
        "",
        f"Under this rule: {champion.finalist.rule} `{POLICY_FILE}` trains another student under it:"
        f" `LossBalancer.from_file` in the package `policies`. {plain}",
        "",
        *_training(champion),
        "## Limits",
        "",
        f"- {champion.verdict.caveat}",
        "- Scores hold for inputs like those of the test set; others were not tried.",
        "- The student was not examined for bias between groups, nor against inputs made to deceive it.",
        "- Every form computes in float32 on a CPU unless you move it.",
        "",
        *([] if folder is None else files_of(champion, folder)),
    ]
    return "\n".join(lines)


def _plain_rule(champion: Champion) -> tuple[str, str]:
    """Return the rule as plain PyTorch, and the reason where it has no such form."""
    document = champion.policy
    if not document:
        return "", "The rule's class is not known here, so it is not written as plain PyTorch."
    smoothing = document.get("training", {}).get("label_smoothing", 0.0) if champion.function is None else 0.0
    try:
        policy = create_policy(document["family"], document["parameters"])
        temperature = float(document["temperature"])
        return plain_rule(policy, temperature=temperature, label_smoothing=float(smoothing)), ""
    except KDPolicySearchError as error:
        return "", f"It is not written as plain PyTorch: {error}"


def _training(champion: Champion) -> list[str]:
    """Return a table of data, teacher and settings."""
    document = champion.policy
    facts: dict[str, Any] = {**champion.origins}
    if document:
        facts["temperature"] = number(float(document["temperature"]))
    settings = document.get("training", {}) if champion.function is None else champion.finalist.shared
    facts |= {
        name.replace("_", " "): f"`{value}`" if isinstance(value, str) else number(value)
        for name, value in settings.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool) and name != "temperature"
    }
    facts |= {name: repr(value) for name, value in options_of(champion.finalist.shared).items()}
    return ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in facts.items()), ""]


def _chosen_from(champion: Champion, seeds: str) -> str:
    if champion.passing is None:
        return f"the students of {seeds}"
    return f"the {count(champion.passing, 'student')} of {seeds} that keep every KPI gate on the test set"


def _highest(champion: Champion) -> str:
    return "best" if champion.scale.objective.direction == "minimize" else "highest"


def _own_score(champion: Champion) -> str:
    test, name = champion.result.test, champion.scale.objective.name
    if test.accuracy is not None and test.calibration_error is None:
        return f"accuracy is {100 * test.accuracy:.2f} %"
    if test.accuracy is None or test.calibration_error is None:
        return f"{name} is {number(champion.result.own_kpis[name])}"
    return f"accuracy is {100 * test.accuracy:.2f} % (calibration error {test.calibration_error:.3f})"


def _use(champion: Champion, folder: pathlib.Path | None) -> list[str]:
    """Say what the student reads and how to load it."""
    exports = None if folder is None else read_exports(folder)
    told = [] if exports is None or champion.pictures is not None else shapes_of(exports)
    return [*told, *_use_here(champion), *loading_elsewhere(exports)]


def _use_here(champion: Champion) -> list[str]:
    """Say what the student reads and how to load it with this package or the user's own file."""
    pictures = champion.pictures
    if champion.function is not None and not champion.result.student_kept:
        return [f"`{champion.function.origin}` did not keep its student; `run.keep(student)` at its end does.", ""]
    if champion.function is not None:
        return [
            f"`{STUDENT_FILE}` in the search's folder `champion` holds the weights that `{champion.function.origin}`"
            f" kept with `run.keep`, as a `state_dict`. `{champion.function.file}` beside it builds the network:",
            "",
            "```python",
            "import torch",
            "",
            f'student.load_state_dict(torch.load("{STUDENT_FILE}", weights_only=True))',
            "student.eval()",
            "```",
            "",
        ]
    if pictures is None:
        file, _, task = champion.student.name.rpartition(":")
        chosen = {**champion.student.options, **options_of(champion.finalist.shared)}
        options = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
        return [
            f"It reads the inputs of the task `{champion.student.name}`. `{STUDENT_FILE}` in the search's folder"
            f" `champion` holds its weights, and `{file}` beside it builds the network:",
            "",
            "```python",
            "import torch",
            f"from {file.removesuffix('.py')} import {task}",
            "",
            f"student = {task}({options}).student()",
            f'student.load_state_dict(torch.load("{STUDENT_FILE}", weights_only=True))',
            "student.eval()",
            "```",
            "",
        ]
    channels, height, width = pictures.shape
    means, deviations = (", ".join(map(number, values)) for values in (pictures.mean, pictures.std))
    return [
        f"It reads pictures as they are stored, uint8 [N, {channels}, {height}, {width}] in 0..255, and gives logits"
        f" [N, {len(pictures.classes)}]. The normalisation (pixel − mean) / std, by channel, is part of it: mean"
        f" {means}, std {deviations}. Classes, in the order of the logits: {_classes(pictures.classes)}.",
        "",
        f"From `{STUDENT_FILE}` in the search's folder `champion`:",
        "",
        "```python",
        *_loading(champion, pictures),
        "logits = student(pictures)",
        "```",
        "",
        "From MLflow's model registry:",
        "",
        "```python",
        "import mlflow",
        "",
        f'student = mlflow.pytorch.load_model("models:/{champion.search}@{ALIAS}")',
        "logits = student(pictures)",
        "```",
        "",
    ]


def _loading(champion: Champion, pictures: PictureFormat) -> list[str]:
    """Return the lines of Python that load the student; one of the user's own is built by its file beside the card."""
    lines = ["from trainables.classifier import load_classifier"]
    if not champion.own_file:
        return [*lines, "", f'student = load_classifier("{STUDENT_FILE}")']
    name = champion.student.name.rpartition(":")[2]
    return [
        f"from {champion.own_file.removesuffix('.py')} import {name}  # the file beside this card",
        *lines,
        "",
        f"network = {own_constructor(champion.student, pictures.shape, len(pictures.classes))}",
        f'student = load_classifier("{STUDENT_FILE}", network)',
    ]


def _classes(classes: tuple[str, ...], most: int = 20) -> str:
    told = ", ".join(classes[:most])
    return told if len(classes) <= most else f"{told}, … ({len(classes)} in all, kept with the student)"


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
