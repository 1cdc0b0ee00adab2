"""Works out the one judgement of a search and its confirmation; everything else only renders it."""

from __future__ import annotations

from search.evidence.answer import Answer, WorthAnswer, answer, worth_answer
from search.evidence.answers import ConfirmedVerdict
from search.evidence.comparison import Comparison, compare
from search.evidence.confirmed import confirmed_of
from search.evidence.curve import ConstantCurve, constant_curve
from search.evidence.gains import TEACHING, Gain, confirmed_gains, searched_gains
from search.evidence.ranking import ConstantComparison, FamilyRank, compare_to_constant, rank_families
from search.evidence.recommended import Recommended, best_of_families, recommend
from search.evidence.searched import SearchVerdict, judge_search
from search.evidence.students import StudentRow, compare_students
from search.evidence.verdict import judge_confirmation
from search.evidence.wording.growth import smaller_search_sentence
from search.evidence.wording.remarks import Remark, remarks
from search.records import ConfirmationRecord, SearchRecord
from trainables.records import Objective
from trainables.settings import Settings


class Judgement(Settings):
    """All conclusions from a search and its confirmation, as plain data; JSON keeps all of it.

    Scores are turned so that higher is better: values of the objective, negated where less of it is better.
    """

    search: str
    """The search's name."""
    objective: Objective
    student: str | None
    """The student whose trials are ranked and compared; None while there is no trial."""
    answer: Answer
    """The first words."""
    worth: WorthAnswer
    """The answer to whether distillation is worth it here."""
    remarks: tuple[Remark, ...]
    """Facts that must be reported with the answer, the most serious first."""
    families: tuple[FamilyRank, ...]
    """The search's ranking, best first, on the validation pictures."""
    comparison: ConstantComparison
    """The search's rules against its best constant, on the validation pictures."""
    curve: ConstantCurve | None
    """The score against the constant λ with its certificate; None while the search runs or without constants."""
    search_verdict: SearchVerdict
    """The search's own answer, whatever a confirmation says."""
    students: tuple[StudentRow, ...]
    """One row a student; empty where there is one student only."""
    finalists: Comparison | None
    """The confirmation's finalists against the best constant, on the test pictures; None if none has begun."""
    verdict: ConfirmedVerdict | None
    """The confirmation's answer, finished or not; None if none has begun."""
    rival: str | None
    """The finalist shown beside the best constant: the winner, or else the nearest rule; None without an answer."""
    labels_alone: str | None
    """The finalist trained without a teacher; None without an answer or without such a finalist."""
    gains: tuple[Gain, ...]
    """The gains of the recommended rule; the first one is the report's subject."""
    recommended: Recommended | None
    """The rule to train with; None while there is none."""
    best_of_families: dict[str, Recommended]
    """Each family's best rule."""

    @property
    def is_confirmed(self) -> bool:
        """True if a finished confirmation has an answer."""
        return self.verdict is not None and self.verdict.winner is not None

    @property
    def lacks_champion(self) -> bool:
        """True if a finished confirmation has an answer, and no finalist keeps every KPI gate."""
        return self.verdict is not None and self.verdict.gating is not None and self.verdict.champion is None


def judge(search: SearchRecord, confirmation: ConfirmationRecord | None = None) -> Judgement:
    """Work out everything that a search and its confirmation show.

    Rules are compared under one student: the confirmed one, or that of the best trial.

    Args:
        search: the search, finished or not, with the trials of all students.
        confirmation: its confirmation, finished or not; None if none has begun.
    """
    judged = judged_search(search, confirmation)
    families, comparison, curve = rank_families(judged), compare_to_constant(judged), constant_curve(judged)
    finalists = None if confirmation is None else compare(confirmation)
    verdict = None if confirmation is None else judge_confirmation(confirmation, search.unit)
    if verdict is not None and confirmation is not None:
        caveats = filter(None, (smaller_search_sentence(search, confirmation), verdict.caveat))
        verdict = verdict.model_copy(update={"caveat": " ".join(caveats)})
    confirmed = confirmed_of(confirmation, finalists, verdict)
    searched = judge_search(judged, families, comparison, confirmed=confirmed is not None)
    own_gains = searched_gains(judged, families, comparison)
    teaching = next((gain for gain in own_gains if gain.note == TEACHING), None)
    worth = worth_answer(judged, confirmed, teaching)
    return Judgement(
        search=search.name,
        objective=search.objective,
        student=judged.trials[0].student if judged.trials else None,
        answer=answer(judged, searched, verdict, confirmed, worth),
        worth=worth,
        remarks=remarks(judged, families, () if curve is None else curve.level_sides, gated=confirmed is not None),
        families=families,
        comparison=comparison,
        curve=curve,
        search_verdict=searched,
        students=compare_students(search),
        finalists=finalists,
        verdict=verdict,
        rival=confirmed.rival if confirmed else None,
        labels_alone=confirmed.labels_alone if confirmed else None,
        gains=confirmed_gains(confirmed, comparison) if confirmed else own_gains,
        recommended=recommend(judged, comparison, confirmed),
        best_of_families=best_of_families(judged, comparison, confirmed),
    )


def judged_search(search: SearchRecord, confirmation: ConfirmationRecord | None = None) -> SearchRecord:
    """Return the search with the trials of one student alone: the confirmed one, or that of the best trial."""
    finalists = confirmation.finalists if confirmation else ()
    return search.of_student(finalists[0].student if finalists else None)
