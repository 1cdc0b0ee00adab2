import io

import pytest
from rich.console import Console

from search.progress.search import Board, TerminalListener
from search.records.search import SearchRecord, TrialRecord
from tests.search.tiny import tiny_config
from trainables.records.trial import ReplicateResult, TrialHistory
from trainables.teacher.progress import TeacherProgress

SEARCH = SearchRecord(name="tiny", config=tiny_config(), teacher_accuracy=0.99)


def trial(number, family, status, score=None):
    return TrialRecord(
        trial_id=str(number),
        number=number,
        status=status,
        family=family,
        parameters={},
        shared={},
        rule=f"λ of {number}",
        complexity=1,
        error="boom" if status == "failed" else None,
        history=TrialHistory(score=score),
    )


@pytest.fixture
def board():
    board = Board(SEARCH, tiny_config())
    for record in (
        trial(1, "fixed", "running"),
        trial(1, "fixed", "finished", 0.8),
        trial(2, "norm_balance", "finished", 0.9),
        trial(3, "fixed", "failed"),
        trial(4, "norm_balance", "running"),
    ):
        board.update(record)
    return board


def test_the_board_counts_each_trial_once(board):
    assert (board.count("finished"), board.count("failed"), board.count("running")) == (2, 1, 1)
    assert board.ended == 3
    assert board.best().number == 2
    assert board.best("fixed").number == 1


def test_news_of_a_trial_replaces_what_was_known_of_it(board):
    """News may come several times, and a status may change."""
    for _ in range(3):
        board.update(trial(1, "fixed", "finished", 0.8))
    board.update(trial(5, "fixed", "finished", 0.8))
    board.update(trial(5, "fixed", "finished", 0.6))
    assert (board.count("finished"), board.count("finished", "fixed"), board.count("running")) == (3, 2, 1)
    assert [record.trial_id for record in board.trials.values()] == ["1", "2", "3", "4", "5"]
    console = Console(file=io.StringIO(), width=80)
    console.print(board.table())
    assert "70.00 %" in console.file.getvalue()  # the median of 0.8 and 0.6


def test_the_line_says_what_matters(board, monkeypatch):
    state = "3 of at most 8 trials done, 1 running, 1 failed, best so far 90.00 % (norm_balance)"
    monkeypatch.setattr(board, "seconds_left", lambda: 50.0)
    assert board.line() == f"{state}, about 50 s left"
    monkeypatch.setattr(board, "seconds_left", lambda: None)
    assert board.line() == state


def test_the_line_of_a_race_counts_trainings_since_its_trials_end_late():
    board = Board(SEARCH, tiny_config("racing=true", "replicates=3"))
    seeds = tuple(ReplicateResult.model_construct(seed=seed) for seed in range(2))
    racing = trial(1, "fixed", "pending")
    history = racing.history.model_copy(update={"replicates": seeds})
    board.update(racing.model_copy(update={"history": history}))
    assert board.line().startswith("0 of at most 8 trials done (2 trainings), 0 running")


def test_a_finished_search_has_no_time_left(board):
    for number in range(4, 9):
        board.update(trial(number, "fixed" if number % 2 else "norm_balance", "finished", 0.7))
    assert board.line() == "8 of at most 8 trials done, 0 running, 1 failed, best so far 90.00 % (norm_balance)"


def test_a_resumed_search_has_no_time_left_before_a_trial_has_ended_in_it(board, monkeypatch):
    resumed = Board(SEARCH.model_copy(update={"trials": tuple(board.trials.values())}), tiny_config())
    assert resumed.seconds_left() is None
    clock = iter([0.0, 10.0, 10.0])
    monkeypatch.setattr("search.progress.search.time.monotonic", lambda: next(clock))
    resumed.update(trial(5, "fixed", "running"))
    resumed.update(trial(5, "fixed", "finished", 0.7))
    assert resumed.seconds_left() > 0


@pytest.mark.parametrize(("over", "said"), [(False, "what runs resumes from its last checkpoint"), (True, "ending")])
def test_an_interruption_is_told_with_what_is_kept(over, said):
    listener = TerminalListener(Console(file=io.StringIO()))
    assert "before the first training" in listener.kept()
    listener.search_begins(SEARCH, tiny_config())
    listener.trial(trial(3, "fixed", "failed"))
    if over:
        listener.end()
    assert "what has ended (1 trial) is kept" in listener.kept()
    assert said in listener.kept()


def test_the_table_holds_every_family_whole_at_80_columns(board):
    console = Console(file=io.StringIO(), width=80)
    console.print(board.table())
    text = console.file.getvalue()
    assert "norm_balance" in text
    assert "1/≤ 4 (1 failed)" in text
    assert "80.00 %" in text


def test_without_a_terminal_lines_are_plain_and_few():
    console = Console(file=io.StringIO(), width=40)
    listener = TerminalListener(console)
    for epoch in range(1, 41):
        listener.teacher(TeacherProgress(epoch=epoch, epochs=40, loss=0.1, accuracy=0.9, seconds=1.0, cached=False))
    listener.search_begins(SEARCH, tiny_config())
    for _ in range(100):
        listener.tick()
    listener.trial(trial(3, "fixed", "failed"))
    listener.end()
    lines = console.file.getvalue().splitlines()
    assert len(lines) < 10
    assert "\x1b" not in console.file.getvalue()
    assert "trial 3 (fixed) failed: boom" in lines
    assert any("99.00 %" in line for line in lines)


def test_a_large_share_of_constants_is_announced_before_the_trainings():
    def announced(*overrides):
        config, stream = tiny_config(*overrides), io.StringIO()
        TerminalListener(Console(file=stream, width=200)).search_begins(
            SearchRecord(name="tiny", config=config), config
        )
        return "the best constant λ may take 50% of the trainings" in stream.getvalue()

    assert announced()
    assert not announced("constant.most_trials=1")
