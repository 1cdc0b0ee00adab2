"""Describes a champion's student, as Markdown and as data: how to load it, what it reads, what it is worth."""

from __future__ import annotations

import json
from typing import Any

from search.confirm.champion import Champion
from search.wording import count, number
from trainables.models import own_constructor
from trainables.pictures import PictureFormat
from trainables.suggestion import options_of

STUDENT_FILE = "student.pt"
POLICY_FILE = "policy.json"
VERDICT_FILE = "verdict.json"
CARD_FILE = "README.md"

ALIAS = "champion"
"""The alias of the version in MLflow's model registry."""


def evidence_files(champion: Champion) -> dict[str, bytes]:
    """Return policy, verdict and card, as path -> content."""
    return {
        POLICY_FILE: _json(champion.policy),
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


def card(champion: Champion) -> str:
    """Write the model card, as Markdown."""
    row, scale = champion.comparison.of(champion.finalist.key), champion.scale
    seeds = count(len(row.seeds), "fresh seed")
    lines = [
        f"# {champion.search}: a student trained under {champion.title}",
        "",
        *([] if champion.verdict.worth is None else [f"**{champion.verdict.worth.text}**", ""]),
        f"**{champion.verdict.headline}**",
        "",
        champion.verdict.evidence,
        "",
        champion.verdict.caveat,
        "",
        "## The rule",
        "",
        champion.finalist.rule,
        "",
        f"`{POLICY_FILE}` trains another student under it: `LossBalancer.from_file` in the package `policies`.",
        "",
        "## The student",
        "",
        f"The model is `{champion.student.name}`, trained under seed {champion.result.seed}: of the students of {seeds}"
        f" the one with the {_highest(champion)} {scale.on('validation')}. The test set had no part in this choice. Its"
        f" own test {_own_score(champion)}; the {seeds}"
        f" reach {scale.value(row.test)} {scale.spread(row.spread)} of {scale.on('test')}, which is what to expect of"
        " another training.".replace("  ", " "),
        "",
        *_use(champion),
    ]
    return "\n".join(lines)


def _highest(champion: Champion) -> str:
    return "best" if champion.scale.objective.direction == "minimize" else "highest"


def _own_score(champion: Champion) -> str:
    test, name = champion.result.test, champion.scale.objective.name
    if test.accuracy is not None and test.calibration_error is None:
        return f"accuracy is {100 * test.accuracy:.2f} %"
    if test.accuracy is None or test.calibration_error is None:
        return f"{name} is {number(champion.result.own_kpis[name])}"
    return f"accuracy is {100 * test.accuracy:.2f} % (calibration error {test.calibration_error:.3f})"


def _use(champion: Champion) -> list[str]:
    """Say what the student reads and how to load it."""
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
