"""The story of a training: its phases, branches and interventions, the place of its log, and the figure."""

import itertools
import json

import pytest

from search.errors import SearchError
from search.explain.figure import weights_by_step, write_figure
from search.explain.phases import phases, spans
from search.explain.source import Source, find_source
from search.explain.summary import explain, explanation_json
from search.explain.wording import explanation_text
from search.records.search import SearchRecord, TrialRecord
from search.settings.launch import Launch
from tests.search.evidence_record import around, confirmation, constant, rule
from tests.search.tiny import tiny_config
from trainables.errors import DataError
from trainables.records.trial import DecisionEntry, TracePoint, TrialHistory
from trainables.training.decision_log import LogContext, StoredLog, write_decisions

STEPS = 400


def entry(step, branch, weight=None, seed=0, **more):
    weight = (0.5, 0.9, 0.1)[branch] if weight is None else weight
    values = {"cosine": 0.1 + 0.2 * branch, "norm_ratio": 2.0, "reason": f"cosine at {step}"} | more
    return DecisionEntry(seed=seed, step=step, epoch=step / 10, weight=weight, scale=1.0, branch=branch, **values)


def log_of(*entries, seeds=(0,), steps=STEPS, dropped=0):
    policy = {"family": "cosine_threshold", "rule": "λ = 0.9 while the cosine is above 0.3, else 0.5."}
    return StoredLog(LogContext(policy, seeds, steps, STEPS, dropped), entries)


def story(log):
    return explanation_text(explain(log, "trial 3 of x"))


FLAPPING = [entry(100 + 2 * i, (i + 1) % 2) for i in range(30)]


def test_phases_cover_all_steps_without_a_gap_or_an_overlap():
    log = log_of(entry(0, 0), *FLAPPING, entry(200, 1), entry(230, 0), entry(233, 1))
    found = phases(spans(log, 0))
    assert found[0].first == 0
    assert found[-1].last == STEPS - 1
    assert all(b.first == a.last + 1 for a, b in itertools.pairwise(found))
    assert all(sum(phase.shares.values()) == pytest.approx(1) for phase in found)


def test_a_stretch_of_quick_changes_is_one_phase():
    found = phases(spans(log_of(entry(0, 0), *FLAPPING), 0))
    assert [(phase.first, phase.last) for phase in found] == [(0, 99), (100, 157), (158, 399)]
    assert found[1].switches == 28
    assert found[1].shares == pytest.approx({1: 0.5, 0: 0.5}, abs=0.02)


def test_a_rule_that_changes_all_the_time_still_has_few_phases():
    restless = [entry(step, step // 25 % 3) for step in range(0, STEPS, 25)]
    assert len(phases(spans(log_of(*restless), 0))) <= 8


def test_a_rule_of_one_branch_is_told_in_fifths_by_its_λ():
    moving = [entry(40 * i, 0, weight=0.1 * i) for i in range(10)]
    found = phases(spans(log_of(*moving), 0))
    assert [(phase.first, phase.last) for phase in found] == [(80 * i, 80 * i + 79) for i in range(5)]
    assert found[1].mean == pytest.approx(0.25)
    assert (found[1].low, found[1].high) == pytest.approx((0.2, 0.3))


def test_steps_not_yet_taken_are_no_part_of_the_story():
    found = phases(spans(log_of(entry(0, 0), entry(100, 1), steps=150), 0))
    assert found[-1].last == 149
    assert "150 of 400 steps" in story(log_of(entry(0, 0), entry(100, 1), steps=150))


def test_branches_have_their_share_over_all_seeds_and_typical_readings():
    log = log_of(entry(0, 0), entry(100, 1), entry(0, 1, seed=7), seeds=(0, 7))
    by_number = {branch.number: branch for branch in explain(log, "t").branches}
    assert by_number[0].share == pytest.approx(100 / 800)
    assert by_number[1].share == pytest.approx(700 / 800)
    assert (by_number[1].entered, by_number[1].cosine) == (2, pytest.approx(0.3))


def test_the_story_names_rule_phases_and_reasons():
    text = story(log_of(entry(0, 0), *FLAPPING))
    assert "λ = 0.9 while the cosine is above 0.3" in text
    assert "steps 0–99: branch 0 (λ = 0.5); e.g. “cosine at 0”" in text
    assert "steps 100–157: switched 28 times between branch 0 (λ = 0.5) and branch 1 (λ = 0.9)" in text
    assert "typically at cosine 0.3, norm ratio 2" in text
    assert "e.g. “cosine at" in text
    assert "The guard never intervened." in text


def test_a_branch_is_told_by_how_reliable_the_teacher_was_where_the_rule_looked_at_it():
    told = {"cosine": None, "norm_ratio": None, "class_reliability": 0.25, "confidence_reliability": 0.5}
    text = story(log_of(entry(0, 0, **told), entry(100, 1, **told)))
    assert "teacher's reliability on the labels' classes 0.25, teacher's reliability at its confidence 0.5" in text
    assert "its own classes" not in text


def test_a_rule_without_branches_is_told_by_its_reasons():
    fading = [entry(200 + 20 * i, 0, weight=0.7 - 0.07 * i, reason="late, fades") for i in range(10)]
    told = explain(log_of(entry(0, 0, weight=0.7, reason="early"), *fading), "t")
    assert [(phase.first, phase.last) for phase in told.stories[0].phases] == [(0, 199), (200, 399)]
    lines = explanation_text(told).splitlines()
    assert "  steps 0–199: λ about 0.70; “early”" in lines
    assert "  steps 200–399: λ fell from 0.70 to 0.07 (between 0.07 and 0.70); “late, fades”" in lines


def test_a_reason_with_numbers_is_an_example_and_no_new_phase():
    moving = [entry(40 * i, 0, weight=0.1 * i, reason=f"norm ratio {2 + i / 10:.3g}") for i in range(10)]
    lines = story(log_of(*moving)).splitlines()
    assert "  steps 0–79: λ rose from 0.00 to 0.10 (between 0.00 and 0.10); e.g. “norm ratio 2”" in lines
    assert "  steps 320–399: λ rose from 0.80 to 0.90 (between 0.80 and 0.90); e.g. “norm ratio 2.8”" in lines


def test_a_reason_that_holds_throughout_is_told_once():
    text = story(log_of(*(entry(40 * i, 0, weight=0.1 * i, reason="linear") for i in range(10))))
    assert text.count("“linear”") == 1
    assert "The rule has one branch, in which λ moves; “linear” throughout." in text


def test_neighbours_that_read_the_same_are_one_line():
    steady = [entry(0, 0, weight=0.7, reason="it"), entry(160, 0, weight=0.7, reason="it")]
    text = story(log_of(*steady, entry(330, 0, weight=0.2, reason="it")))
    assert "  steps 0–319: λ about 0.70\n  steps 320–399: λ fell from 0.70 to 0.20" in text
    sawtooth = [entry(40 * i, 0, weight=(0.9, 0.1)[i % 2], reason="it") for i in range(10)]
    assert story(log_of(*sawtooth)).count("λ fell from 0.90 to 0.10") == 5


def test_where_several_reasons_held_each_has_its_share():
    restless = [entry(5 * i, 0, weight=0.5 + 0.01 * (i % 2), reason=("up", "down")[i % 3 > 0]) for i in range(80)]
    assert "steps 0–399: λ about 0.51; “up” (34%), “down” (66%)" in story(log_of(*restless))


def test_a_rule_that_never_changed_has_a_story_too():
    text = story(log_of(entry(0, 0), entry(0, 0, seed=1), seeds=(0, 1)))
    assert "never changed its decision" in text
    assert "λ = 0.5" in text
    assert "it was a constant; e.g. “cosine at 0”." in text


def test_a_training_that_has_not_begun_has_one_as_well():
    assert "No step has been taken yet." in story(log_of(steps=0))


def test_an_intervention_counts_all_its_steps_and_is_told_from_its_first():
    bad = "the task loss is not finite: λ = 1"
    log = log_of(
        entry(0, 0),
        entry(50, 0, weight=1.0, intervention=bad, repeats=3),
        entry(54, 0),
        entry(0, 0, seed=1),
        entry(20, 0, weight=1.0, seed=1, intervention=bad),
        entry(21, 0, seed=1),
        seeds=(0, 1),
    )
    (found,) = explain(log, "t").interventions
    assert (found.steps, found.first_step, found.first_seed) == (5, 20, 1)
    assert "intervened at 5 steps, first at step 20 of seed 1: the task loss is not finite: λ = 1" in story(log)
    told = explain(log, "t")
    assert told.branches[0].high == told.stories[0].phases[0].high == 0.5  # the guard chose λ = 1, not the rule


def test_missing_entries_are_owned_up_to():
    assert "1,234 later entries are missing" in story(log_of(entry(0, 0), entry(9, 1), dropped=1234))


def test_many_seeds_are_summed_up():
    log = log_of(*(entry(step, step > 0, seed=seed) for seed in range(6) for step in (0, 99)), seeds=tuple(range(6)))
    text = story(log)
    assert "seed 2, 1 change of branch" in text
    assert "seed 3" not in text
    assert "3 more seeds, with 1 change of branch" in text
    log = log_of(*(entry(step, step > 0, seed=seed) for seed in range(4) for step in (0, 99)), seeds=tuple(range(4)))
    assert "1 more seed, with 1 change of branch" in story(log)


def test_numbers_are_plain_json():
    told = json.loads(json.dumps(explanation_json(explain(log_of(entry(0, 0), *FLAPPING), "t"))))
    assert told["stories"][0]["phases"][1]["switches"] == 28
    assert told["rule"].startswith("λ")


@pytest.fixture
def launch(tmp_path):
    places = {"tracking_uri": "sqlite://", "experiment": "e", "cache": tmp_path, "data_root": tmp_path}
    return Launch(output=tmp_path / "out", storage=str(tmp_path / "runs"), address=None, **places)


def test_a_log_is_found_by_file_by_folder_and_by_its_trials_folder(tmp_path, launch):
    log = log_of(entry(0, 0), entry(100, 1))
    for number, trial in ((0, log_of(entry(0, 1))), (1, log)):
        folder = tmp_path / f"0001-fixed-abc/checkpoint_{number:06d}"
        folder.mkdir(parents=True)
        write_decisions(folder / "decisions.parquet", trial.entries, trial.context)
    (folder / "history.json").write_text(TrialHistory(device="CPU").to_json())
    for place in (folder / "decisions.parquet", folder, folder.parent):
        source = find_source(str(place), launch)
        assert source.log == log
        assert source.history == TrialHistory(device="CPU")
        assert source.title == "0001-fixed-abc"
        assert source.figure == folder / "decisions"
    (tmp_path / "search.json").touch()  # now they lie in a search, where trials' folders are Tune's
    assert find_source(str(folder), launch).figure == tmp_path / "explain" / "0001-fixed-abc"


def test_a_search_is_explained_by_the_trial_that_it_recommends(launch, monkeypatch):
    shared = {"status": "finished", "parameters": {}, "shared": {}, "rule": "", "complexity": 1}
    search = SearchRecord(
        name="x",
        config=tiny_config(),
        trials=tuple(
            TrialRecord(trial_id=str(n), number=n, family=family, history=TrialHistory(score=score), **shared)
            for n, family, score in ((1, "fixed", 0.8), (2, "norm_balance", 0.9))
        ),
    )
    balance, weight = rule("norm_balance"), constant(0.9)
    scores = {"rule": (balance, around(0.7, 0.2, -0.1)), "constant": (weight, around(0.9, 0.1, -0.1))}
    log = log_of(entry(0, 0))
    monkeypatch.setattr("search.explain.source.read_search", lambda _: search)
    monkeypatch.setattr("search.explain.source.stored_decisions", lambda *_: log)

    def title_of(run, **trials):
        found = [
            (finalist.model_copy(update={"trial": trials.get(role)}), told) for role, (finalist, told) in scores.items()
        ]
        record = confirmation(found) if trials else None
        monkeypatch.setattr("search.confirm.recommended.read_confirmation", lambda _: record)
        source = find_source(run, launch)
        return explanation_text(explain(source.log, source.title, source.remark)).splitlines()[0]

    assert title_of("x").startswith("trial 2 of x, the best:")
    assert title_of("x", rule=2, constant=1).startswith("trial 1 of x, confirmed; the search alone had trial 2 first:")
    assert title_of("x", rule=1, constant=2).startswith("trial 2 of x, confirmed:")
    assert title_of("x", rule=2, constant=None).startswith(
        "trial 2 of x, the best of the search; λ = 0.9 is confirmed, a constant that no trial had"
    )
    assert title_of("x/2", rule=2, constant=1).startswith("trial 2 of x:")


def test_what_cannot_be_found_is_told_with_what_could_be(tmp_path, launch):
    with pytest.raises(SearchError, match="there is no search 'nothing'"):
        find_source("nothing", launch)
    for path in ("/no/such/file", "runs/x/y", "x/decisions.parquet"):
        with pytest.raises(SearchError, match="no decision log at .*name/number"):
            find_source(path, launch)
    (tmp_path / "decisions.parquet").write_text("no")
    with pytest.raises(DataError, match="is not a decision log"):
        find_source(str(tmp_path), launch)


def source_of(log, tmp_path, trace=()):
    return Source(title="$x$ trial", log=log, history=TrialHistory(trace=trace), figure=tmp_path / "new" / "figure")


def test_a_figure_shows_λ_of_every_seed_at_every_step():
    log = log_of(entry(0, 0), entry(100, 1), entry(0, 1, seed=7), seeds=(0, 7))
    grid, weights = weights_by_step(log)
    assert list(grid) == list(range(STEPS))
    assert list(weights[0]) == [0.5] * 100 + [0.9] * 300
    assert list(weights[1]) == [0.9] * 400


@pytest.mark.parametrize(
    "log",
    [
        log_of(entry(0, 0), *FLAPPING, entry(300, 2, intervention="a gradient is not finite: step skipped", repeats=9)),
        log_of(entry(0, 0, cosine=None, norm_ratio=None)),
        log_of(entry(0, 0, norm_ratio=float("inf")), entry(0, 1, seed=7), seeds=(0, 7), steps=1),
        log_of(steps=0),
    ],
    ids=["full", "constant", "one step", "empty"],
)
def test_figures_are_drawn_of_whatever_there_is(log, tmp_path):
    values = {"weight": 0.5, "scale": 1.0, "cosine": 0.2, "norm_ratio": 3.0, "task_loss": 1.0, "distill_loss": 1.0}
    trace = tuple(TracePoint(step=step, epoch=step / 10, **values) for step in range(0, log.context.steps, 50))
    png, svg = write_figure(source_of(log, tmp_path, trace))
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "$x$ trial" in svg.read_text()


def test_a_figure_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "new").write_text("in the way")
    with pytest.raises(SearchError, match="cannot write the figure"):
        write_figure(source_of(log_of(entry(0, 0)), tmp_path))
