"""The contract of training functions: a good one keeps it, and each kind of broken one is caught by name."""

import pytest

from tests.trainables.functions.function_files import DIGITS
from trainables.testing import FUNCTION_CLAUSES, check_function

NOISE = "torch.randn(len(part), 10)"
FIXED = """    run.restore(load)
    torch.manual_seed(0)
    for part in student.parameters():
        nn.init.normal_(part)
    run.epochs = lambda count: range(count)
"""


def checked(folder, monkeypatch, text=DIGITS):
    (folder / "train.py").write_text(text)
    monkeypatch.chdir(folder)
    check_function("train.py:distil", options={"hidden": 8})


def test_a_good_function_keeps_the_contract(tmp_path, monkeypatch):
    checked(tmp_path, monkeypatch)
    assert len(FUNCTION_CLAUSES) == 7


@pytest.mark.parametrize(
    ("old", "new", "clause", "message"),
    [
        (
            "total_steps=EPOCHS * STEPS",
            "total_steps=3",
            "it_trains_and_reports",
            "it made 20 steps, but gave `total_steps` = 3",
        ),
        (
            NOISE,
            "torch.randn(len(part), 10, generator=torch.Generator().manual_seed(__import__('time').time_ns() % 2**31))",
            "trainings_repeat_themselves",
            "two trainings under one seed",
        ),
        ("    run.restore(load)\n", FIXED, "seeds_differ", "two seeds give the same student"),
        ("        optimizer.load_state_dict(its)\n", "", "a_resumed_training_is_the_same", "restore the optimiser"),
        (
            "    run.restore(load)\n",
            "    run.restore(load)\n    if run.confirming:\n        torch.rand(1); nn.init.zeros_(student[0].bias)\n",
            "a_confirmation_trains_the_same_student",
            "trains another student",
        ),
        (
            "run.report_test(per_sample=correct,",
            "run.report_test(accuracy=0.5, per_sample=correct,",
            "a_confirmation_trains_the_same_student",
            "reported as 0.5, but its values by sample have the mean",
        ),
        (
            "    run.keep(student, x[:1])",
            "    torch.set_num_threads(torch.get_num_threads() + 1)",
            "the_process_stays_as_it_was",
            "it changes torch's number of threads",
        ),
        ("accuracy=right(", "hits=right(", "it_trains_and_reports", "must name the search's `objective`"),
        ("    run.restore(load)\n", "    1 / 0\n", "it_trains_and_reports", r"line 36 \(`1 / 0`\)"),
    ],
)
def test_a_broken_function_is_caught_by_its_clause(old, new, clause, message, tmp_path, monkeypatch):
    assert old in DIGITS
    with pytest.raises(AssertionError, match=f"`train.py:distil` breaks `{clause}`.*{message}"):
        checked(tmp_path, monkeypatch, DIGITS.replace(old, new))
