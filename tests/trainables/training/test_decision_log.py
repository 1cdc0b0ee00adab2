"""The decision log: its entries, its bound, its file; a resume neither loses nor doubles an entry."""

import json
import math

import pyarrow.parquet
import pytest
import torch

from policies import Decision, Geometry, Observation
from policies.balancer import Step
from trainables.config.trial import PolicySettings
from trainables.errors import DataError
from trainables.records.trial import DecisionEntry
from trainables.training.decision_log import DecisionLog, LogContext, read_decisions, write_decisions
from trainables.training.loop import Distillation

BROKEN = "the task loss is not finite: λ = 1"
CONTEXT = LogContext(policy={"family": "fixed", "rule": "λ = 0.5"}, seeds=(0, 7), steps=9, total_steps=12, dropped=2)


def step_of(number, weight, branch=0, intervention=None, geometry=None, reason=None):
    loss = torch.tensor(1.0)
    seen = Observation(number, number / 100, geometry, task_loss=0.5)
    return Step(seen, Decision(weight, 1.0, reason or f"at {number}", branch), geometry, loss, loss, None, intervention)


def logged(steps, limit=100):
    log = DecisionLog(3, limit)
    for step in steps:
        log.note(step, steps_per_epoch=4)
    return log


def test_a_constant_has_one_entry():
    log = logged(step_of(i, 0.5) for i in range(50))
    (entry,) = log.entries
    assert (entry.seed, entry.step, entry.epoch, entry.weight) == (3, 0, 0.0, 0.5)


def test_each_change_of_branch_is_an_entry_even_if_λ_stays():
    log = logged(step_of(i, 0.5, branch=i // 3) for i in range(9))
    assert [(entry.step, entry.branch) for entry in log.entries] == [(0, 0), (3, 1), (6, 2)]


def test_each_change_of_the_reason_is_an_entry_but_not_of_its_numbers():
    early = [step_of(i, 0.7, reason=f"early, norm ratio {ratio}") for i, ratio in enumerate(("2.5", "1e-05", "inf"))]
    late = [step_of(i, 0.7, reason="late, fades") for i in (3, 4)]
    assert [(entry.step, entry.reason) for entry in logged([*early, *late]).entries] == [
        (0, "early, norm ratio 2.5"),
        (3, "late, fades"),
    ]


def test_the_decision_that_a_resumed_rule_repeats_is_no_new_one():
    log = logged([step_of(0, 0.7, reason="norm ratio 2"), step_of(1, 0.7, reason="as before the interruption")])
    assert len(log.entries) == 1
    log.note(step_of(2, 0.7, reason="norm ratio 3"), 4)
    assert len(log.entries) == 1


def test_λ_that_creeps_is_an_entry_each_time_it_has_moved_notably():
    log = logged(step_of(i, i / 64) for i in range(17))
    assert [entry.step for entry in log.entries] == [0, 4, 8, 12, 16]


def test_an_intervention_is_an_entry_and_so_is_its_end():
    steps = [
        step_of(0, 0.5),
        step_of(1, 0.5),
        *(step_of(i, 0.5, intervention=BROKEN) for i in (2, 3, 4)),
        step_of(5, 0.5),
    ]
    log = logged(steps)
    assert [(e.step, e.intervention, e.repeats) for e in log.entries] == [(0, None, 0), (2, BROKEN, 2), (5, None, 0)]


def test_an_entry_tells_what_was_known_and_leaves_the_rest_empty():
    measured, blind = logged([step_of(4, 0.5, geometry=Geometry(4.0, 1.0, 1.0)), step_of(5, 0.9)]).entries
    assert (measured.cosine, measured.norm_ratio, measured.task_loss, measured.epoch) == (0.5, 2.0, 0.5, 1.0)
    assert (blind.cosine, blind.norm_ratio, blind.distill_loss, blind.confidence) == (None, None, None, None)


def test_an_entry_tells_how_reliable_the_teacher_was_and_survives_a_file(tmp_path):
    step = step_of(0, 0.5)
    seen = step.observation._replace(class_reliability=0.1, answer_reliability=0.2, confidence_reliability=0.3)
    (entry,) = logged([step._replace(observation=seen)]).entries
    assert (entry.class_reliability, entry.answer_reliability, entry.confidence_reliability) == (0.1, 0.2, 0.3)
    write_decisions(tmp_path / "log.parquet", [entry], CONTEXT)
    assert read_decisions(tmp_path / "log.parquet", "log").entries == (entry,)


def test_what_is_beyond_the_bound_is_counted():
    log = logged((step_of(i, 0.5, branch=i % 2, intervention=BROKEN) for i in range(10)), limit=4)
    assert [entry.step for entry in log.entries] == [0, 1, 2, 3]
    assert log.dropped == 6
    assert all(entry.repeats == 0 for entry in log.entries)


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_a_log_goes_on_from_its_state_as_if_never_interrupted(cut, tmp_path):
    steps = [
        step_of(
            i,
            0.03 * (i % 9),
            branch=i // 7 % 2,
            intervention=BROKEN if i % 11 > 7 else None,
            reason=("up", "down")[i // 5 % 2],
        )
        for i in range(40)
    ]
    whole = logged(steps, limit=15)
    first = logged(steps[:cut], limit=15)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = DecisionLog(3, 15)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for step in steps[cut:]:
        second.note(step, steps_per_epoch=4)
    assert second.entries == whole.entries
    assert second.dropped == whole.dropped > 0


def test_a_file_gives_back_every_entry_and_its_context(tmp_path):
    entries = (
        DecisionEntry(0, 0, 0.0, 0.1 + 0.2, 1.0, 0, "λ, a reason"),
        DecisionEntry(7, 5, 0.5, 0.9, 2.0, 1, "", BROKEN, 3, 0.1, -1.0, math.inf, 0.2, 0.3, 0.4, 0.5),
    )
    path = tmp_path / "decisions.parquet"
    write_decisions(path, entries, CONTEXT)
    stored = read_decisions(path, "it")
    assert stored.entries == entries
    assert stored.context == CONTEXT
    write_decisions(path, (), CONTEXT)
    assert read_decisions(path, "it").entries == ()


def test_a_file_has_typed_columns_with_nulls_where_nothing_is_known(tmp_path):
    path = tmp_path / "decisions.parquet"
    write_decisions(path, (DecisionEntry(0, 0, 0.0, 0.5, 1.0, 0, "r"),), CONTEXT)
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == list(DecisionEntry._fields)
    assert [str(table.schema.field(name).type) for name in ("seed", "weight", "reason", "cosine")] == [
        "int64",
        "double",
        "string",
        "double",
    ]
    assert table["cosine"].null_count == 1
    assert table["weight"].null_count == 0


@pytest.mark.parametrize("kind", ["text", "other parquet", "missing"])
def test_what_is_no_log_is_told(kind, tmp_path):
    path = tmp_path / "x.parquet"
    if kind == "text":
        path.write_text("hello")
    elif kind == "other parquet":
        pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
    with pytest.raises(DataError, match=r"not a decision log.*decisions\.parquet"):
        read_decisions(path, str(path))


def test_a_trial_shares_the_bound_among_its_seeds_and_its_history_stays_small(settings, data, monkeypatch):
    monkeypatch.setattr("trainables.training.loop.MOST_ENTRIES", 7)
    policy = PolicySettings(
        family="norm_ratio_threshold", parameters={"threshold": 1.2, "measure_every": 1, "smoothing": 0.0}
    )
    training = settings.training.model_copy(update={"batch_size": 10})
    trial = Distillation(settings.model_copy(update={"policy": policy, "training": training}), data)
    list(trial.records())
    history = trial.history()
    assert [len(log.entries) for log in trial.logs] == [3, 3]
    assert (history.decisions, trial.log_context().dropped) == (6, history.decisions_dropped)
    assert history.decisions_dropped > 0
    assert "reason" not in json.dumps(history.model_dump())
