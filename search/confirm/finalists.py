"""Chooses the finalists of a search: the best rule of each family, and the constants that such a rule must beat."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence

from policies.registry import create_policy
from search.confirm.finalist_constants import CONSTANT, Candidate, Constants, add_candidate, constants_of_trials
from search.confirm.finalist_surface import constants_of_surface
from search.errors import SearchError, nearest
from search.evidence import Effective, edges, effective_trial
from search.records import ConstantFacts, Finalist, RangeEnd, Role, SearchRecord, TrialRecord
from search.settings import ConfirmationSettings, Launch, SearchConfig, next_command

_EXTREMES: dict[float, Role] = {0.0: "labels_alone", 1.0: "teacher_alone"}


@dataclasses.dataclass(frozen=True)
class Selection:
    """The finalists, rules first; the families without one, with the reasons; and facts on the constant."""

    finalists: tuple[Finalist, ...]
    left_out: dict[str, str]
    constant: ConstantFacts


def choose_finalists(
    search: SearchRecord, config: SearchConfig, settings: ConfirmationSettings, launch: Launch | None = None
) -> Selection:
    """Choose a finished search's finalists among the trials of `settings.student`, or else of the best trial's student.

    1. Each family's best trial, with that trial's own learning rate and temperature. A rule that did not act is
       confirmed as what it did: a tree as the part that was reached, a λ that never moved as that constant. Families
       that reduce to the same constant are one finalist.
    2. The constants that the surface of the search's constants names (`search.confirm.finalist_surface`). In a search
       that tried only a few, they are the best ones tried (`search.confirm.finalist_constants`).

    3. The constants of `settings.constants`.

    Duplicates are dropped.

    Raises:
        SearchError: no trial has finished, a family is asked for that the search did not try, or a given constant has
            a setting that the search did not tune.
    """
    students = () if settings.student is None else (settings.student,)
    _check_searched(search, "`--student` must name a student", students, config.students)
    _check_searched(search, "`--families` must name families", settings.families or (), config.families)
    if problems := list(config.unsearched_constants(settings)):
        raise SearchError(" ".join(problems))
    search = search.of_student(settings.student)
    if not search.finished:
        with_student = "" if settings.student is None else f" with the student {settings.student!r}"
        raise SearchError(
            f"no trial of the search {search.name!r}{with_student} has finished, so there is nothing to confirm;"
            f" `{next_command('report', search.name, launch)}` shows what went wrong."
        )
    asked = config.families if settings.families is None else settings.families
    best: dict[str, TrialRecord] = {}
    for trial in search.finished:
        best.setdefault(trial.family, trial)
    left_out = {family: "none of its trials has finished" for family in config.families if family not in best}
    left_out |= {family: "not asked for" for family in best if family not in asked and family != CONSTANT}
    acted = {family: effective_trial(best[family]) for family in best if family in asked and family != CONSTANT}
    rules = [best[family] for family, did in acted.items() if did.kind != "constant"]
    constants = constants_of_surface(search, config, rules, settings.more_constants)
    if constants is None:
        constants = constants_of_trials(search, rules, settings.more_constants)
    candidates = [*constants.candidates]
    for trial, did in ((best[family], did) for family, did in acted.items() if did.kind == "constant"):
        own = Candidate(float(did.parameters["weight"]), trial.shared, f"-as-{trial.family}")
        candidate = next((other for other in candidates if other.is_like(own)), own)
        if candidate is own:
            candidates.append(own)
        left_out[trial.family] = f"its best rule acted like a constant, so {candidate.key} takes its place: {did.text}"
    home = candidates[0].shared
    for given in settings.constants:
        add_candidate(candidates, Candidate(given.weight, {**home, **given.shared}, "-given"))
    finalists = tuple(_rule(trial, acted[trial.family]) for trial in rules)
    finalists += tuple(_constant(search, candidate) for candidate in candidates)
    return Selection(finalists, left_out, _facts(config, constants, finalists))


def _check_searched(search: SearchRecord, must: str, asked: Iterable[str], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            raise SearchError(
                f"{must} of the search {search.name!r} ({', '.join(known)}), but got {name!r}.{nearest(name, known)}"
            )


def _rule(trial: TrialRecord, did: Effective) -> Finalist:
    return Finalist(
        key=trial.family,
        role="rule",
        family=did.family,
        parameters=did.parameters,
        shared=trial.shared,
        student=trial.student,
        rule=did.text if did.kind == "part" else did.rule,
        short_rule=did.short_rule,
        complexity=did.complexity,
        trial=trial.number,
        search_score=trial.score,
    )


def _constant(search: SearchRecord, candidate: Candidate) -> Finalist:
    """Build a constant's finalist, with the number and score of the best trial that was the same, if there was one."""
    policy = create_policy(CONSTANT, {"weight": candidate.weight})
    same = (
        trial
        for trial in search.finished
        if trial.family == CONSTANT
        and (float(trial.parameters["weight"]), trial.shared) == (candidate.weight, candidate.shared)
    )
    trial = next(same, None)
    return Finalist(
        key=candidate.key,
        role=_EXTREMES.get(candidate.weight, "constant"),
        family=CONSTANT,
        parameters=policy.values(),
        shared=dict(candidate.shared),
        student=search.finished[0].student,
        rule=policy.rule(),
        short_rule=policy.short_rule(),
        complexity=policy.complexity,
        trial=trial.number if trial else None,
        search_score=trial.score if trial else None,
    )


def _facts(config: SearchConfig, constants: Constants, finalists: Sequence[Finalist]) -> ConstantFacts:
    ends = [
        RangeEnd(
            finalist=finalist.key,
            setting=edge.name,
            value=edge.value,
            end="low" if edge.end == "lower" else "high",
            limit=edge.bound,
        )
        for finalist in finalists
        if finalist.role == "rule" or finalist.key == constants.facts.chosen
        for edge in edges(finalist.shared, config.space.shared)
        if (edge.name, edge.end) not in constants.level_sides
    ]
    return constants.facts.model_copy(update={"ends": tuple(ends)})
