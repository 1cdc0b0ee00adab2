"""Names, tags and describes a search and its trials in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.evidence import Judgement, on_fronts
from search.records import Finalist, SearchRecord, TrialRecord
from search.settings import left_after
from search.tracking.series import rounded
from search.wording import Scale, count, number, percent
from trainables.suggestion import BASE_STUDENT

NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
TRIAL_ID = "tune.trial_id"
SEARCH = "kd.search"
CREATED = "kd.created"
ROLE = "kd.role"
RACE = "kd.race"
FRONT = "kd.front"
ERROR = "error"
PASSING = (RACE, ERROR)
"""Tags that a trial may lose again, if it comes back into the race or is trained again."""

MAX_NAME = 60
"""The most characters of a rule in a run's name."""
_MAX_TAG = 8000
_MAX_PARAMETER = 6000
_MAX_RULE = 400


def _common(search: SearchRecord) -> dict[str, Any]:
    """Return the settings that all runs of a search show as parameters."""
    config, own_optimizer = search.config, search.pictures.own_optimizer if search.pictures else ""
    return {
        "dataset": config.data_name,
        "train_size": config.data.train_size,
        "teacher": config.teacher_name,
        "student": config.student.name,
        "epochs": config.training.epochs,
        "batch_size": config.training.batch_size,
        "optimizer": own_optimizer or config.training.optimizer,
        "replicates": config.replicates,
        "objective": config.objective,
        "direction": config.direction,
    }


def identity_tags(search: SearchRecord) -> dict[str, str]:
    """Return tags that tell the runs of this search from all others, also of an earlier one of the same name."""
    created = "" if search.created is None else search.created.isoformat(timespec="seconds")
    return {SEARCH: search.name, CREATED: created}


def search_parameters(search: SearchRecord) -> dict[str, str]:
    """Return what all trials of the search have in common, and how many are planned."""
    config = search.config
    budget = {"trials_per_family": config.trials_per_family, "families": ", ".join(config.families)}
    return as_text(_common(search) | budget)


def run_parameters(search: SearchRecord, trained: TrialRecord | Finalist) -> dict[str, str]:
    """Return everything that a newcomer may want to compare or filter by, as one flat mapping."""
    config = search.config
    varied = {"learning_rate": config.training.learning_rate, "temperature": config.temperature}
    values = _common(search) | varied | trained.shared | policy_parameters(trained)
    return as_text(values | _student_parameters(search, trained.student))


def policy_parameters(trained: TrialRecord | Finalist) -> dict[str, Any]:
    """Return the family of a policy, its parameters, and how many numbers it needs."""
    parameters = {f"policy.{name}": value for name, value in trained.parameters.items()}
    return {"family": trained.family, "policy.complexity": trained.complexity, **parameters}


def _student_parameters(search: SearchRecord, student: str) -> dict[str, Any]:
    """Return which of several students it is, and what that one costs; nothing if there is only one."""
    size = next((size for size in search.student_sizes if size.name == student), None)
    if size is None:
        return {}
    return {
        "student": search.config.students[student].name,
        "student.name": student,
        "student.parameters": size.parameters,
        "student.flops": size.flops,
    }


def run_name(trial: TrialRecord) -> str:
    """Return number and rule in short, as the legend of a chart shows them: `007 cosine > .2: .9, else .1`."""
    rule = trial.short_rule or trial.family
    student = "" if trial.student == BASE_STUDENT else f" ({trial.student})"
    return f"{trial.number:03d} {cut(rule, MAX_NAME)}{student}"


def front_tags(search: SearchRecord) -> dict[int, dict[str, str]]:
    """Return each trial's fronts of score and cost by its number, once the search has ended; `none` if on none."""
    if search.status == "running":
        return {}
    return {
        number: {FRONT: "; ".join(f"score and {' and '.join(costs)}" for costs in found) or "none"}
        for number, found in on_fronts(search).items()
    }


def trial_tags(search: SearchRecord, trial: TrialRecord, parent: str) -> dict[str, str]:
    """Return all tags of a trial's run, except `front_tags` and those that count what is written."""
    tags = {TRIAL_ID: trial.trial_id, "kd.baseline": "yes" if trial.baseline else "no"}
    if trial.status == "failed":
        tags[ERROR] = trial.error or "no message"
    if trial.status == "eliminated":
        tags[RACE] = left_after(len(trial.seeds), search.config.replicates)
    return tags_below(search, parent, "trial", trial, tags | {NOTE: _trial_note(trial, Scale(search.objective))})


def tags_below(
    search: SearchRecord, parent: str, role: str, trained: TrialRecord | Finalist, more: dict[str, str]
) -> dict[str, str]:
    """Return the tags of a run below the search's own, with more of them."""
    tags = {PARENT: parent, ROLE: role, "policy.family": trained.family, "policy.rule": trained.rule}
    return cut_tags(tags | more) | identity_tags(search)


def search_tags(search: SearchRecord, judgement: Judgement, confirmed: str = "") -> dict[str, str]:
    """Return all tags of the search's own run, except its confirmation's and those that count what is written.

    Args:
        search: finished or not.
        judgement: of it.
        confirmed: what a confirmation says, as Markdown; it comes first.
    """
    own = _search_note(search, judgement)
    note = f"{confirmed}\n---\n\n{own}" if confirmed else own
    tags = {ROLE: "search", NOTE: note, "kd.worth": judgement.worth.text, "kd.worth_kind": judgement.worth.kind}
    if judgement.curve is not None:
        certificate = "holds" if judgement.curve.holds else f"does not hold: {judgement.curve.reason}"
        tags |= {"kd.constant": f"λ = {number(judgement.curve.chosen)}", "kd.constant_certificate": certificate}
    return cut_tags(tags) | identity_tags(search)


def cut_tags(tags: dict[str, str]) -> dict[str, str]:
    """Cut tags to the length that MLflow takes."""
    return {name: cut(value, _MAX_TAG) for name, value in tags.items()}


def _trial_note(trial: TrialRecord, scale: Scale) -> str:
    lines = [f"**{trial.rule}**", ""]
    if trial.baseline:
        lines += ["This is one of the constant λ that every search tries, for comparison.", ""]
    if trial.score is not None:
        spread = trial.history.score_std
        title = scale.on("validation")
        lines.append(
            f"{title[:1].upper() + title[1:] if scale.is_accuracy else title}: {scale.value(trial.score)}"
            + (f" {scale.spread(spread)} over {len(trial.history.replicates)} seeds" if spread is not None else "")
            + f"; the rule needs {trial.complexity} number{'' if trial.complexity == 1 else 's'}."
        )
    elif trial.status == "eliminated":
        seeds = count(len(trial.seeds), "seed")
        lines.append(
            f"It left the race over seeds after {seeds}, at {scale.value(trial.partial_score)}: others of its family"
            " were better on the same seeds. A score over fewer seeds is not ranked."
        )
    elif trial.status == "failed":
        lines.append(f"Failed: {trial.error or 'no message'}")
    return "\n".join(lines).strip()


def _search_note(search: SearchRecord, judgement: Judgement) -> str:
    teacher = "" if search.teacher_accuracy is None else f" (validation accuracy {percent(search.teacher_accuracy)})"
    lines = [
        f"A search for the rule that sets λ, the weight of the distillation loss, while teacher"
        f" `{search.config.teacher_name}`{teacher} teaches student `{search.config.student.name}` on"
        f" `{search.config.data_name}`. Each run below is one student, trained under one rule.",
        "",
    ]
    ranked = [(rank, rank.best) for rank in judgement.families if rank.best is not None]
    scale = Scale(search.objective)
    if len(search.student_sizes) > 1:
        names = ", ".join(f"`{size.name}` ({size.parameters:,} parameters)" for size in search.student_sizes)
        lines += [f"Students: {names}. Below are the trials with {judgement.student}.", ""]
    if not ranked:
        return "\n".join([*lines, "No trial has finished yet."])
    if not judgement.is_confirmed:
        lines += [f"**{judgement.worth.text}**", "", judgement.search_verdict.text, ""]
    lines += [*(f"- {remark.sentence}" for remark in judgement.remarks), *([""] if judgement.remarks else [])]
    best = next(trial for trial in search.trials if trial.number == ranked[0][1].number)
    lines += [
        f"Best{' so far' if search.status == 'running' else ''}: **{run_name(best)}**, {scale.value(best.score)}:"
        f" {cut(best.rule, _MAX_RULE)}",
        "",
        f"| family | best {scale.title} | ± | its rule | numbers in it | finished trials |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for rank, trial in ranked:
        spread = "–" if trial.spread is None else scale.spread(trial.spread)
        rule = cut(trial.rule, _MAX_RULE).replace("|", "\\|")
        lines.append(
            f"| {rank.family} | {scale.value(trial.score)} | {spread} | {rule} | {trial.complexity} | {rank.finished} |"
        )
    lines += [
        "",
        f"`score` is the mean {scale.on('validation')}, and the best of many is optimistic, since it was selected; ± is"
        f" the standard deviation over seeds{', in percentage points' if scale.is_accuracy else ''}.",
    ]
    return "\n".join(lines)


def as_text(values: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as the texts that MLflow keeps: 0.3, not 0.30000001192; `policy.json` has all digits."""
    return {
        name: cut(str(rounded(value)) if isinstance(value, float) else str(value), _MAX_PARAMETER)
        for name, value in values.items()
        if value is not None
    }


def cut(text: str, length: int) -> str:
    """Cut a text to this many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
