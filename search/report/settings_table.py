"""What the search stood on, as rows of a table: the few facts that people ask for, then every setting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search.records import SearchRecord
from search.scale import Scale
from search.wording import count, duration, family_title, percent
from trainables.suggestion import BASE_STUDENT

Row = tuple[str, str]


def summary_rows(search: SearchRecord) -> tuple[Row, ...]:
    """Data, models, seeds, budget and time; what the search does not tell is left out."""
    rows = (
        ("Data", _data(search)),
        ("Teacher", _teacher(search)),
        ("Student", _student(search)),
        ("Searched for", _objective(search)),
        ("Training", _training(search.config)),
        ("Seeds a trial", _seeds(search)),
        ("Families", ", ".join(family_title(f) for f in _families(search))),
        ("Trials", _trials(search)),
        ("Search time", _time(search)),
    )
    return tuple((name, value) for name, value in rows if value)


def settings_rows(config: dict[str, Any]) -> tuple[Row, ...]:
    """Every setting by its dotted name."""
    return tuple(_flat("", config))


def _flat(prefix: str, value: Any) -> Iterator[Row]:
    if prefix in ("own_policies", "kpis"):
        yield prefix, _plain([own.get("origin") if isinstance(own, dict) else own for own in value or ()])
    elif isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), item)
    else:
        yield prefix, _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value) if value else "none"
    return "none" if value == {} else str(value)


def _get(config: dict[str, Any], *path: str) -> Any:
    value: Any = config
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _data(search: SearchRecord) -> str:
    name = _get(search.config, "data", "name")
    if not name:
        return ""
    if search.pictures is not None:
        return f"{name}: {search.pictures.in_words}"
    train, validation = _get(search.config, "data", "train_size"), search.validation_size
    sizes = [f"{train:,} training pictures" if isinstance(train, int) else "all training pictures"]
    if validation is not None:
        sizes.append(f"{validation:,} validation pictures")
    return f"{name}: {', '.join(sizes)}"


def _teacher(search: SearchRecord) -> str:
    parts = [str(_get(search.config, "teacher", "model", "name") or "")]
    if search.teacher_parameters:
        parts.append(f"{search.teacher_parameters:,} parameters")
    if search.teacher_accuracy is not None:
        parts.append(f"{percent(search.teacher_accuracy)} on the validation pictures")
    return ", ".join(part for part in parts if part)


def _student(search: SearchRecord) -> str:
    several = search.student_sizes
    if several:
        return ", ".join(f"{s.name} ({_model(search, s.name)}, {s.parameters:,} parameters)" for s in several)
    sizes = {trial.history.parameters for trial in search.trials if trial.history.parameters}
    parts = [_model(search, BASE_STUDENT), f"{max(sizes):,} parameters" if sizes else ""]
    return ", ".join(part for part in parts if part)


def _model(search: SearchRecord, student: str) -> str:
    path = ("student",) if student == BASE_STUDENT else ("space", "students", student)
    return str(_get(search.config, *path, "name") or "")


def _objective(search: SearchRecord) -> str:
    """Nothing where it is the accuracy, as everybody expects."""
    scale = Scale(search.objective)
    return "" if scale.is_accuracy else scale.on("validation")


def _training(config: dict[str, Any]) -> str:
    epochs, optimizer = _get(config, "training", "epochs"), _get(config, "training", "optimizer")
    parts = [count(epochs, "epoch") if isinstance(epochs, int) else "", str(optimizer or "")]
    batch = _get(config, "training", "batch_size")
    parts.append(f"batches of {batch}" if batch else "")
    return ", ".join(part for part in parts if part)


def _seeds(search: SearchRecord) -> str:
    seeds = sorted({r.seed for trial in search.trials for r in trial.history.replicates})
    if not seeds:
        return ""
    shown = ", ".join(str(seed) for seed in seeds[:10]) + (", …" if len(seeds) > 10 else "")
    if any(trial.status == "eliminated" for trial in search.trials):
        return f"{len(seeds)} ({shown}), of which each trial had the first ones; more had to be earned"
    return f"{len(seeds)} ({shown}), the same for every trial"


def _families(search: SearchRecord) -> list[str]:
    listed = _get(search.config, "families")
    seen = dict.fromkeys(trial.family for trial in search.trials)
    return [str(f) for f in listed] if isinstance(listed, list | tuple) else list(seen)


def _trials(search: SearchRecord) -> str:
    statuses = [trial.status for trial in search.trials]
    parts = [f"{statuses.count('finished'):,} finished"]
    if "eliminated" in statuses:
        parts.append(f"{statuses.count('eliminated'):,} left the race over seeds")
    if "failed" in statuses:
        parts.append(f"{statuses.count('failed'):,} failed")
    if search.remaining:
        parts.append(f"{search.remaining:,} unfinished")
    budget = _get(search.config, "trials_per_family")
    text = ", ".join(parts)
    return f"{text}; {budget} a family were planned" if isinstance(budget, int) else text


def _time(search: SearchRecord) -> str:
    started = [trial.started for trial in search.trials if trial.started]
    ended = [trial.ended for trial in search.trials if trial.ended]
    training = sum(trial.history.training_seconds for trial in search.trials)
    parts = (
        [f"{duration((max(ended) - min(started)).total_seconds())} from first to last trial"]
        if started and ended
        else []
    )
    if training:
        devices = sorted({trial.history.device for trial in search.trials if trial.history.device})
        parts.append(f"{duration(training)} of training" + (f" on {', '.join(devices)}" if devices else ""))
    return ", ".join(parts)
