"""A remark reports a teacher that has nothing to teach, and no other."""

import io

import pytest
from rich.console import Console

from search.evidence import judge
from search.evidence.source import ReportSource
from search.evidence.wording.teacher_remark import teacher_remark
from search.progress import TerminalListener
from search.settings.search_file import load_config
from tests.search.picture_counts import picture_counts
from tests.search.report.conftest import CONFIG

ALONE = {"weight": 0.0}


@pytest.mark.parametrize(
    ("accuracy", "largest", "told"),
    [
        (0.41, 0.25, True),
        (0.45, 0.25, False),
        (0.99, 0.1, False),
        (0.91, 0.9, True),
        (0.93, 0.9, False),
        (0.2, 0.25, True),
    ],
)
def test_a_teacher_hardly_better_than_the_largest_class_is_told_of(accuracy, largest, told, make_search):
    search = make_search(teacher_accuracy=accuracy, pictures=picture_counts(largest_share=largest))
    remark = teacher_remark(search)
    assert bool(remark) == told
    if told:
        assert f"{100 * accuracy:.2f} %" in remark
        assert f"{100 * largest:.2f} %" in remark
        assert "teacher.training.epochs" in remark


def test_students_of_labels_alone_that_beat_the_teacher_are_named_before_a_better_one(trial, make_search):
    search = make_search(
        trial(1, "fixed", (0.66, 0.68), parameters=ALONE),
        trial(2, "norm_balance", (0.70, 0.72)),
        teacher_accuracy=0.41,
        pictures=picture_counts(),
    )
    assert teacher_remark(search).startswith(
        "Students trained on labels alone are clearly better than the teacher, 67.00 % against 41.00 %"
    )
    assert teacher_remark(search) in [remark.sentence for remark in judge(search).remarks]
    assert teacher_remark(search) in [remark.sentence for remark in ReportSource(search=search).judgement.remarks]


def test_a_best_student_is_named_where_labels_alone_did_not_beat_the_teacher(trial, make_search):
    search = make_search(
        trial(1, "fixed", (0.40, 0.42), parameters=ALONE),
        trial(2, "fixed", (0.66, 0.68), parameters={"weight": 0.5}),
        teacher_accuracy=0.45,
        pictures=picture_counts(),
    )
    assert teacher_remark(search).startswith("The best student is clearly better than the teacher, 67.00 %")


@pytest.mark.parametrize(("size", "told"), [(200, False), (20_000, True)])
def test_a_lead_over_the_teacher_counts_by_the_number_of_pictures(size, told, trial, make_search):
    search = make_search(
        trial(1, "fixed", (0.93, 0.93), parameters=ALONE),
        teacher_accuracy=0.92,
        pictures=picture_counts(validation=size),
    )
    assert bool(teacher_remark(search)) == told


def test_a_good_teacher_is_passed_over_in_silence(full_search):
    assert teacher_remark(full_search) == ""


def test_a_checkpoint_is_asked_for_its_classes_and_its_normalisation(make_search):
    config = {**CONFIG, "teacher": {"model": {"name": "cnn"}, "checkpoint": "teacher.pt"}}
    remark = teacher_remark(make_search(teacher_accuracy=0.25, pictures=picture_counts(), config=config))
    assert "classes in the same order" in remark
    assert "epochs" not in remark


def test_the_terminal_says_so_before_the_first_trial(make_search):
    console = Console(file=io.StringIO(), width=80)
    TerminalListener(console).search_begins(
        make_search(teacher_accuracy=0.41, pictures=picture_counts(), status="running"), load_config("digits-quick")
    )
    assert "The teacher has learnt little: it is right on 41.00 %" in console.file.getvalue()


def test_a_confirmed_answer_says_so_too(with_winner):
    poor = with_winner.search.model_copy(update={"teacher_accuracy": 0.3, "pictures": picture_counts(validation=5000)})
    source = ReportSource(search=poor, confirmation=with_winner.confirmation)
    assert source.judgement.answer.confirmed
    (remark,) = [remark for remark in source.judgement.remarks if remark.kind == "teacher"]
    assert "clearly better than the teacher" in remark.sentence
    assert not [remark for remark in with_winner.judgement.remarks if remark.kind == "teacher"]
