"""Lists what the search was based on, as rows of a table: first the main facts, then every setting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search.records import SearchRecord
from search.settings import SearchConfig, without_texts
from search.wording import Scale, count, duration, family_title, percent

Row = tuple[str, str]


def summary_rows(search: SearchRecord) -> tuple[Row, ...]:
    """Return data, models, seeds, budget and time; what the search does not record is left out."""
    rows = (
        ("Data", _data(search)),
        ("Teacher", _teacher(search)),
        ("Student", _student(search)),
        ("Searched for", _objective(search)),
        ("Training", _training(search)),
        ("Seeds per trial", _seeds(search)),
        ("Families", ", ".join(map(family_title, search.config.families))),
        ("Trials", _trials(search)),
        ("Search time", _time(search)),
    )
    return tuple((name, value) for name, value in rows if value)


def settings_rows(config: SearchConfig) -> tuple[Row, ...]:
    """Return every setting by its dotted name; of a file of the user's own its name, not its text."""
    values = without_texts(config.model_dump(mode="json"))
    left_out = {"data", "teacher", "augmentation"} if config.own is not None else set()
    for kind, own in (("task", config.task), ("function", config.function)):
        if own is None:
            left_out.add(kind)
        else:
            values[kind] = {"name": own.origin, **own.model_dump(mode="json", exclude={"origin", "source"})}
    if config.function is not None:
        left_out |= {"corruption", "evaluations", "kpis"}
        values["training"] = {name: values["training"][name] for name in ("learning_rate", "epochs")}
    return tuple(_flat("", {name: value for name, value in values.items() if name not in left_out}))


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


def _data(search: SearchRecord) -> str:
    data, validation = search.config.data, search.validation_size
    if search.pictures is not None:
        return f"{search.config.data_name}: {search.pictures.in_words}"
    if search.config.function is not None:
        return search.config.function.origin
    sizes = ["all training pictures" if data.train_size is None else f"{data.train_size:,} training pictures"]
    if validation is not None:
        sizes.append(f"{validation:,} validation pictures")
    return f"{data.name}: {', '.join(sizes)}"


def _teacher(search: SearchRecord) -> str:
    if search.config.function is not None:
        return ""  # only the function knows it
    parts = [search.config.teacher_name]
    if search.teacher_parameters:
        parts.append(f"{search.teacher_parameters:,} parameters")
    if search.teacher_accuracy is not None:
        parts.append(f"{percent(search.teacher_accuracy)} on the validation set")
    return ", ".join(parts)


def _student(search: SearchRecord) -> str:
    several = search.student_sizes
    if several:
        models = search.config.students
        return ", ".join(f"{s.name} ({models[s.name].name}, {s.parameters:,} parameters)" for s in several)
    sizes = {trial.history.parameters for trial in search.trials if trial.history.parameters}
    kind = "trained parameters" if search.config.function is not None else "parameters"
    parts = [search.config.student.name, f"{max(sizes):,} {kind}" if sizes else ""]
    return ", ".join(part for part in parts if part)


def _objective(search: SearchRecord) -> str:
    """Return what is searched for; empty if it is the accuracy, as everybody expects."""
    scale = Scale(search.objective)
    return "" if scale.is_accuracy else scale.on("validation")


def _training(search: SearchRecord) -> str:
    training, pictures, function = search.config.training, search.pictures, search.config.function
    if function is not None:
        return f"by {function.origin}"
    optimizer = (pictures.own_optimizer if pictures else "") or training.optimizer
    return f"{count(training.epochs, 'epoch')}, {optimizer}, batches of {training.batch_size}"


def _seeds(search: SearchRecord) -> str:
    seeds = sorted({r.seed for trial in search.trials for r in trial.history.replicates})
    if not seeds:
        return ""
    shown = ", ".join(str(seed) for seed in seeds[:10]) + (", …" if len(seeds) > 10 else "")
    if any(trial.status == "eliminated" for trial in search.trials):
        return f"{len(seeds)} ({shown}), of which each trial had the first ones; only the better trials had more"
    return f"{len(seeds)} ({shown}), the same for every trial"


def _trials(search: SearchRecord) -> str:
    statuses = [trial.status for trial in search.trials]
    parts = [f"{statuses.count('finished'):,} finished"]
    if "eliminated" in statuses:
        parts.append(f"{statuses.count('eliminated'):,} left the race over seeds")
    if "failed" in statuses:
        parts.append(f"{statuses.count('failed'):,} failed")
    if search.remaining:
        parts.append(f"{search.remaining:,} unfinished")
    return f"{', '.join(parts)}; {search.config.trials_per_family} per family of rules were planned"


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
