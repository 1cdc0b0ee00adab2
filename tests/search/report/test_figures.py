import html
import math
import re

import pytest

from policies.families import FAMILIES
from search.drawing.canvas import focus, jitter, new_figure, style, thinned, to_svg
from search.drawing.palette import family_colour
from search.evidence.importance.importance import importances
from search.evidence.source import ReportSource
from search.report.figures import accuracy, forest, optimism, parallel, scores
from search.report.figures.decisions import decisions_figure
from search.report.figures.forest import forest_figure
from search.report.figures.groups import figure_groups
from search.report.figures.importance import importance_figure
from search.report.figures.parameters import _panels
from search.report.figures.traces import trace_figures
from search.report.tables.traces import trace_bands
from search.wording.scale import Scale
from tests.search.analysis_record import planted_record
from trainables.records.objective import Objective
from trainables.records.trial import DecisionEntry
from trainables.training.decision_log import LogContext, StoredLog


def figures(source, importances=()):
    return tuple(figure for group in figure_groups(source, importances) for figure in group.figures)


@pytest.fixture(scope="module")
def drawn(with_winner):
    return figures(with_winner, importances(with_winner.search))


def test_scores_hold_every_finished_trial_and_the_best_constant(full_search):
    source = ReportSource(search=full_search)
    rows = scores._rows(source)
    assert sum(len(row.scores) for row in rows) == len(full_search.finished)
    assert all(row.scores[0] == row.best.score == max(row.scores) for row in rows)
    low, high = scores._limits(source, rows)
    assert low < source.judgement.comparison.constant.score < high


def test_a_trial_that_learned_nothing_does_not_set_the_axis(trial, make_search):
    good = [trial(n, "fixed", (0.80 + n / 1000,)) for n in range(1, 9)]
    search = make_search(*good, trial(9, "norm_balance", (0.81,)), trial(10, "fixed", (0.1,)))
    source = ReportSource(search=search)
    assert 0.7 < scores._limits(source, scores._rows(source))[0] < 0.801


def test_bands_of_a_search_follow_the_best_trial_of_each_family(searched):
    bands, best = trace_bands(searched), searched.search.finished
    assert [band.family for band in bands] == list(dict.fromkeys(t.family for t in best))
    assert [point.weight for point in bands[0].points] == [point.weight for point in best[0].history.trace]
    assert sum(band.shown for band in bands) == 2  # the best rule and the best constant


def test_bands_of_a_search_have_the_range_that_the_trace_tells(full_search):
    best = full_search.finished[0]
    point = best.history.trace[0].model_copy(update={"weight_range": (0.1, 0.9), "cosine_range": (-0.2, 0.4)})
    history = best.history.model_copy(update={"trace": (point,)})
    trials = tuple(t.model_copy(update={"history": history}) if t is best else t for t in full_search.trials)
    band, *_ = trace_bands(ReportSource(search=full_search.model_copy(update={"trials": trials})))
    (told,) = band.points
    assert (told.weight_low, told.weight_high, told.cosine_low, told.cosine_high) == (0.1, 0.9, -0.2, 0.4)


def test_bands_of_a_confirmation_are_over_its_seeds(with_winner, without_winner):
    bands = trace_bands(with_winner)
    assert bands[0].label == "norm ratio threshold"
    assert bands[-1].label == "best constant, λ = 0.45"
    assert trace_bands(without_winner)[0].label == "best constant, λ = 0.45"
    for band in bands:
        assert (band.seeds, len(band.points)) == (10, 12)
        for place, point in enumerate(band.points):
            assert (point.step, point.norm_ratio) == (20 * place, pytest.approx(2.0))
            assert (point.weight_low, point.weight_high) == (pytest.approx(0.5), pytest.approx(0.59))
            assert point.weight == pytest.approx(0.545)
            assert (point.cosine_low, point.cosine_high) == (
                pytest.approx(0.3 - 0.02 * place),
                pytest.approx(0.39 - 0.02 * place),
            )


def test_a_step_that_one_seed_lacks_is_left_out_of_the_band(with_winner):
    record = with_winner.confirmation
    first, *others = record.results
    short = first.model_copy(update={"trace": first.trace[:-1]})
    record = record.model_copy(update={"results": (short, *others)})
    band = trace_bands(ReportSource(search=with_winner.search, confirmation=record))[0]
    assert len(band.points) == 11


def test_the_forest_holds_every_rule_and_who_stands(with_winner, without_winner):
    rows = forest._confirmed(with_winner.confirmed)
    assert {row.family for row in rows} == {"norm_ratio_threshold", "norm_balance", "cosine_threshold"}
    assert [row.label for row in rows if row.stands] == [rows[0].label] == ["norm ratio threshold"]
    low, high = forest._limits(rows, with_winner.confirmation.margin)
    assert low < 0.0 < rows[0].high < high
    assert not any(row.stands for row in forest._confirmed(without_winner.confirmed))


def test_the_forest_of_a_search_holds_each_family_and_nothing_stands(searched):
    rows = forest._searched(searched)
    assert [row.mean for row in rows] == [d.mean for d in searched.judgement.comparison.differences]
    assert not any(row.stands for row in rows)
    with style():
        figure = forest_figure(searched)
    assert figure.finding.startswith("Not known before a confirmation.")
    assert len(figure.table.rows) == len(rows) == 5


def test_an_interval_that_tells_nothing_is_not_drawn(trial, make_search):
    search = make_search(trial(1, "fixed", (0.35, 0.45)), trial(2, "norm_balance", (0.34, 0.48)))
    (row,) = forest._searched(ReportSource(search=search))
    assert (row.mean, row.low, row.high) == (pytest.approx(0.01), None, None)


def test_the_forest_shows_the_nearest_rules_and_counts_the_others(trial, make_search):
    families = [family for family, policy in FAMILIES.items() if family != "fixed" and policy.scope != "sample"][:9]
    rules = [trial(n, family, (0.7 + n / 100, 0.72 + n / 100)) for n, family in enumerate(families, start=2)]
    source = ReportSource(search=make_search(trial(1, "fixed", (0.8, 0.81)), *rules))
    with style():
        figure = forest_figure(source)
    drawn = [family for family in families if f">{family.replace('_', ' ')}</text>" in figure.svg]
    assert drawn == families[-7:]  # the others have lower scores
    assert "2 more rules stand in the tables below." in figure.caption
    assert len(figure.table.rows) == 9


def test_a_finalist_far_behind_does_not_set_the_axis_of_the_forest(without_winner):
    rows = forest._confirmed(without_winner.confirmed)
    behind = rows[0]._replace(mean=-0.3, low=-0.31, high=-0.29)
    assert behind.high < forest._limits([*rows, behind], None)[0]


def test_optimism_is_told_of_those_that_the_search_had_tried(with_winner):
    rows = optimism._rows(with_winner.confirmed)
    assert [row.searched for row in rows] == sorted((row.searched for row in rows), reverse=True)
    assert len(rows) == 3


def test_parallel_axes_run_over_what_was_tried(full_search):
    rows = parallel._rows(ReportSource(search=full_search))
    row = next(row for row in rows if row.family == "norm_ratio_threshold")
    assert [setting.name for setting in row.settings] == [
        "smoothing", "threshold", "above", "below", "learning_rate", "temperature",
    ]  # fmt: skip
    tried = [trial.shared["learning_rate"] for trial in row.trials]
    setting = next(setting for setting in row.settings if setting.name == "learning_rate")
    assert (setting.low, setting.high, setting.log) == (min(tried), max(tried), True)
    middle = math.sqrt(min(tried) * max(tried))
    heights = [parallel._height(setting, value) for value in (min(tried), middle, max(tried))]
    assert heights == [0.0, pytest.approx(0.5), 1.0]


def decisions(entries, steps=100):
    context = LogContext(policy={"family": "cosine_threshold", "rule": "…"}, seeds=(0,), steps=steps, total_steps=steps)
    return StoredLog(context, tuple(entries))


def entry(step, weight, branch, **changes):
    values = {"seed": 0, "step": step, "epoch": step / 10, "weight": weight, "scale": 1.0, "branch": branch}
    return DecisionEntry(**values, reason="…", **changes)


def test_decisions_are_those_of_the_winner_with_what_the_guard_did(with_winner):
    asked = []

    def read(trial):
        asked.append(trial.number)
        guard = {"intervention": "a gradient is not finite: the step is skipped", "repeats": 4}
        return decisions([entry(0, 0.9, 0), entry(60, 0.1, 1), entry(70, 0.15, 1), entry(80, 0.1, 1, **guard)])

    source = ReportSource(search=with_winner.search, confirmation=with_winner.confirmation, decisions=read)
    with style():
        figure = decisions_figure(source)
    assert asked == [with_winner.confirmation.finalists[0].trial]
    assert figure.finding == (
        "Norm ratio threshold changed its branch once per seed. Of the steps, 60 % with λ = 0.9, 40 % with λ from 0.1"
        " to 0.15. The guard intervened at 5 steps."
    )
    assert [row[1] for row in figure.table.rows] == [0, 60, 70, 80]


def test_a_rule_that_never_moved_is_called_a_constant(searched):
    source = ReportSource(search=searched.search, decisions=lambda _: decisions([entry(0, 0.9, 0)]))
    with style():
        figure = decisions_figure(source)
    assert "on this training it was a constant" in figure.finding


def test_accuracy_has_the_labels_alone_and_marks_the_constant(full_search):
    curves = accuracy._curves(ReportSource(search=full_search))
    assert curves[-1].label == "λ = 0, the labels alone"
    assert [curve.label.split(",")[0] for curve in curves if curve.dashed] == ["best constant"]
    assert accuracy._limits(curves)[0] > min(min(curve.y) for curve in curves)


def test_a_family_has_a_panel_for_each_varied_parameter(full_search):
    panels, kept = _panels(full_search, "norm_ratio_threshold")
    assert {panel.setting.name for panel in panels} == {"threshold", "above", "below", "smoothing"}
    assert {panel.setting.name for panel in panels if panel.setting.log} == {"threshold"}
    assert kept == {"hysteresis": 0.05, "measure_every": 10, "tier": "full", "pair": "same"}
    for panel in panels:
        scored = [trial.score for _, trial in panel.points]
        assert scored[0] == max(scored)


def by_tier(trial, make_search, count=12):
    tiers = ("full", "logit", "last_block")
    return make_search(
        *(
            trial(
                n,
                "norm_balance",
                (0.7 + 0.1 * (n % 3 == 1) + n / 1000,),
                parameters={"tier": tiers[n % 3], "balance": 0.1 * n},
            )
            for n in range(1, count + 1)
        )
    )


def test_a_choice_has_a_panel_with_its_options_as_places(trial, make_search):
    panels = {panel.setting.name: panel for panel in _panels(by_tier(trial, make_search), "norm_balance")[0]}
    tier = panels["tier"]
    assert tier.setting.options == ("full", "last_block", "logit")
    assert [tier.setting.place(option) for option in tier.setting.options] == [0.0, 1.0, 2.0]
    assert tier.points[0][0] == "logit"  # the best trial comes first
    assert not tier.setting.log
    assert panels["balance"].setting.options == ()


def test_the_figure_of_a_choice_names_its_options(trial, make_search):
    search = by_tier(trial, make_search)
    figure = next(f for f in figures(ReportSource(search=search)) if "norm balance" in f.title)
    assert all(f">{option}</text>" in figure.svg for option in ("full", "last block", "logit"))
    assert "pair = same" in figure.caption


def test_shared_panels_hold_all_families(full_search):
    panels, _ = _panels(full_search, None)
    assert [panel.setting.name for panel in panels] == ["learning_rate", "temperature"]
    assert [trial for _, trial in panels[0].points] == list(full_search.finished)


def test_importance_has_a_block_only_where_trials_can_tell(full_search):
    with style():
        svg = importance_figure(importances(full_search)).svg
    # Each family has fewer than twelve trials, which cannot tell.
    assert re.findall(r"font-weight[^>]*>([^<]+)</text>", svg) == ["all trials together"]


def test_every_figure_asks_a_question_and_describes_itself(drawn):
    assert len({figure.name for figure in drawn}) == len(drawn) >= 18
    for figure in drawn:
        assert figure.title.endswith("?")
        assert figure.finding
        description = html.escape(f"{figure.title} {figure.finding}", quote=True)
        assert f'aria-label="{description}"' in figure.svg
        assert figure.caption
        assert set(figure.files) == {"svg", "png"}
        assert figure.table
        assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)


def test_findings_say_what_was_planted(with_winner, without_winner, drawn):
    told = {figure.name: figure.finding for figure in drawn}
    assert told["forest"].startswith("Norm ratio threshold beats it beyond the noise; norm ratio threshold by +1.99")
    assert told["weights"].startswith("Norm ratio threshold takes λ from 0.55 at the start to 0.55 at the end")
    assert "times as long as the labels' over the" in told["ratio"]
    with style():
        nothing = forest_figure(without_winner)
    assert nothing.finding.startswith("None is shown to. The nearest, ")


def test_ids_of_all_figures_differ_and_every_reference_has_one(drawn):
    ids = [name for figure in drawn for name in re.findall(r'\bid="([^"]+)"', figure.svg)]
    references = [name for figure in drawn for name in re.findall(r'(?:href="|url\()#([^")]+)', figure.svg)]
    assert len(ids) == len(set(ids))
    assert references
    assert set(references) <= set(ids)


def test_drawing_twice_gives_the_same_files(with_winner, drawn):
    with style():
        again = (forest_figure(with_winner), *trace_figures(trace_bands(with_winner)))
    first = {figure.name: figure for figure in drawn}
    assert all(figure == first[figure.name] for figure in again)


def test_colours_follow_the_page_and_keep_a_fallback(drawn):
    colours = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", "".join(figure.svg for figure in drawn)))
    assert colours - {"none"}
    assert all(re.fullmatch(r"var\(--\w+, #[0-9a-f]{6}\)|none", colour) for colour in colours)


def test_written_numbers_keep_their_digits():
    with style():
        figure, (axes,) = new_figure(100)
        axes.set_title("0.12345")
        svg = to_svg(figure, "x", "digits")
    assert ">0.12345</text>" in svg


def test_a_family_name_is_never_a_formula_or_markup():
    with style():
        figure, (axes,) = new_figure(100)
        axes.set_title("$x^2$ <script>")
        svg = to_svg(figure, "x", '"><script>')
    assert "$x^2$ &lt;script&gt;" in svg
    assert "<script>" not in svg


def test_no_finished_trial_means_no_figure(trial, make_search):
    search = make_search(trial(1, "fixed", status="failed"))
    assert figures(ReportSource(search=search)) == ()


def test_trials_without_series_still_give_the_figures_of_scores(trial, make_search):
    search = make_search(trial(1, "fixed", (0.8,)), trial(2, "norm_balance", (0.9,), learning_rate=0.1))
    assert [figure.name for figure in figures(ReportSource(search=search))] == [
        "forest",
        "scores",
        "front-complexity",
        "parameters",
    ]


def test_each_family_has_a_colour_of_its_own():
    colours = [family_colour(family) for family in FAMILIES]
    assert len(set(colours)) == len(colours)
    assert re.fullmatch("#[0-9a-f]{6}", family_colour("unheard of"))


def test_thinning_keeps_the_ends_and_the_bound():
    kept = thinned(list(range(1001)), 100)
    assert (kept[0], kept[-1]) == (0, 1000)
    assert len(kept) <= 101
    assert thinned([1, 2, 3], 3) == [1, 2, 3]


def test_jitter_spreads_within_bounds():
    offsets = jitter(50)
    assert len(set(offsets)) == 50
    assert max(map(abs, offsets)) <= 1


def test_focus_of_equal_scores_is_a_range():
    low, high = focus([0.5, 0.5], [0.5], Scale(Objective()))
    assert low < 0.5 < high


def test_an_analysis_has_a_group_of_its_own_and_names_of_its_own(trial, make_search):
    record = planted_record(lambda cosine, ratio, progress: 0.5 + 0.4 * cosine, seeds=3, probes=9)
    source = ReportSource(search=make_search(trial(1, "fixed", (0.8,))), analysis=record)
    (group,) = (group for group in figure_groups(source, ()) if group.title.startswith("What theory"))
    assert len(group.figures) == 7
    assert all(figure.name.startswith("analysis-") for figure in group.figures)
    assert all('href="data:image/png;base64,' in f.svg for f in group.figures if "<image" in f.svg)
