import math
import re

import pytest

from policies.registry import FAMILIES
from search.report.drawing import focus, jitter, new_figure, style, thinned, to_svg
from search.report.figure_importance import _get_importance_info
from search.report.figure_parameters import _get_family_info, _get_shared_info
from search.report.figure_scores import _get_scores_info
from search.report.figure_training import _get_accuracy_info, _get_trace_info
from search.report.figures import figures
from search.report.importance import importances
from search.report.palette import family_colour
from search.scale import Scale
from trainables.objective import Objective


@pytest.fixture(scope="module")
def drawn(full_search):
    return figures(full_search, importances(full_search))


def test_scores_info_holds_every_finished_trial_and_the_references(full_search):
    info = _get_scores_info(full_search)
    assert sum(len(row.scores) for row in info.rows) == len(full_search.finished)
    assert all(row.scores[0] == row.best.score == max(row.scores) for row in info.rows)
    assert info.labels_alone.parameters["weight"] == 0.0
    assert info.limits[0] < info.constant.score < info.limits[1]


def test_a_trial_that_learned_nothing_does_not_set_the_axis(trial, make_search):
    good = [trial(n, "fixed", (0.80 + n / 1000,)) for n in range(1, 9)]
    info = _get_scores_info(make_search(*good, trial(9, "norm_balance", (0.81,)), trial(10, "fixed", (0.1,))))
    assert 0.7 < info.limits[0] < 0.801


def test_trace_info_follows_the_best_trial_of_each_family(full_search):
    curves = _get_trace_info(full_search, lambda point: point.weight)
    assert [curve.family for curve in curves] == list(dict.fromkeys(t.family for t in full_search.finished))
    best = full_search.finished[0]
    assert curves[0].y == tuple(point.weight for point in best.history.trace)
    assert curves[0].x[0] == 0.0


def test_points_that_are_not_finite_are_left_out(full_search):
    (first, *_) = _get_trace_info(full_search, lambda point: math.nan if point.step == 0 else point.cosine)
    assert len(first.x) == len(full_search.finished[0].history.trace) - 1


def test_accuracy_info_adds_the_labels_alone_and_marks_the_constant(full_search):
    info = _get_accuracy_info(full_search)
    assert info.curves[-1].label == "λ = 0, the labels alone"
    assert [curve.label.split(",")[0] for curve in info.curves if curve.dashed] == ["best constant"]
    assert info.limits[0] > min(min(curve.y) for curve in info.curves)


def test_parameter_info_has_a_panel_for_each_varied_parameter(full_search):
    info = _get_family_info(full_search, "norm_ratio_threshold")
    assert {panel.name for panel in info.panels} == {"threshold", "above", "below", "smoothing"}
    assert {panel.name for panel in info.panels if panel.log} == {"threshold"}
    assert info.kept == {"hysteresis": 0.05, "measure_every": 10, "tier": "full", "pair": "same"}
    assert all(panel.scores[0] == max(panel.scores) for panel in info.panels)


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
    info = _get_family_info(by_tier(trial, make_search), "norm_balance")
    panel = next(panel for panel in info.panels if panel.name == "tier")
    assert panel.options == ("full", "last_block", "logit")
    assert panel.options[int(panel.values[0])] == "logit"  # the best trial comes first
    assert not panel.log
    assert next(panel for panel in info.panels if panel.name == "balance").options == ()


def test_the_figure_of_a_choice_names_its_options(trial, make_search):
    search = by_tier(trial, make_search)
    figure = next(f for f in figures(search, importances(search)) if "norm balance" in f.title)
    assert all(f">{option}</text>" in figure.svg for option in ("full", "last block", "logit"))
    assert "pair = same" in figure.caption


def test_shared_info_holds_all_families(full_search):
    info = _get_shared_info(full_search)
    assert [panel.name for panel in info.panels] == ["learning_rate", "temperature"]
    assert set(info.panels[0].families) == {t.family for t in full_search.finished}


def test_importance_info_has_a_block_for_each_family_that_could_be_told(full_search):
    groups = _get_importance_info(importances(full_search))
    assert groups[0].title == "all trials together"
    # One of its eight trials failed.
    assert "norm ratio threshold" not in {group.title for group in groups}


def test_every_figure_asks_a_question_and_describes_itself(drawn):
    assert len(drawn) == 13
    for figure in drawn:
        assert figure.title.endswith("?")
        assert f'aria-label="{figure.title}"'.replace("'", "&#x27;") in figure.svg
        assert figure.caption


def test_ids_of_all_figures_differ_and_every_reference_has_one(drawn):
    ids = [name for figure in drawn for name in re.findall(r'\bid="([^"]+)"', figure.svg)]
    references = [name for figure in drawn for name in re.findall(r'(?:href="|url\()#([^")]+)', figure.svg)]
    assert len(ids) == len(set(ids))
    assert references
    assert set(references) <= set(ids)


def test_drawing_twice_gives_the_same_text(full_search, drawn):
    assert figures(full_search, importances(full_search)) == drawn


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
    assert figures(search, importances(search)) == ()


def test_trials_without_series_still_give_the_figures_of_scores(trial, make_search):
    search = make_search(trial(1, "fixed", (0.8,)), trial(2, "norm_balance", (0.9,), learning_rate=0.1))
    assert [figure.name for figure in figures(search, importances(search))] == ["scores", "parameters0"]


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
