import io
import random

import pytest
from rich.console import Console

from search.drawing.canvas import style
from search.evidence.pareto import fronts
from search.evidence.ranking import compare_to_constant
from search.evidence.source import ReportSource
from search.evidence.students import compare_students
from search.records.search import StudentSize
from search.report.document import report_json
from search.report.figures.pareto import _dominated, front_figures, gains_in_words
from search.report.page import render_html
from search.report.terminal.fronts import render_fronts, render_students
from search.wording import Scale
from tests.search.report.conftest import CONFIG


def of(search, *costs):
    return next(front for front in fronts(search) if front.costs == costs)


def by_complexity(trial, make_search, entries, **changes):
    """Return a search of trials given as (complexity, scores by seed)."""
    return make_search(
        *(trial(n, "tree", scores, complexity=complexity) for n, (complexity, scores) in enumerate(entries, start=1)),
        **changes,
    )


def dominated(entry, others):
    complexity, score = entry
    return any(c <= complexity and s >= score and (c, s) != (complexity, score) for c, s in others)


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_no_trial_beats_in_both(trial, make_search, seed):
    rng = random.Random(seed)
    entries = [(rng.randint(1, 6), (rng.randint(50, 60) / 100,)) for _ in range(25)]
    front = of(by_complexity(trial, make_search, entries), "complexity")
    plain = [(complexity, score) for complexity, (score,) in entries]
    expected = sorted({entry for entry in plain if not dominated(entry, plain)})
    assert [(p.costs["complexity"], p.score) for p in front.points] == expected
    assert front.dominated == len(entries) - len(expected)


def test_of_trials_alike_in_all_the_earliest_is_on_the_front(trial, make_search):
    search = by_complexity(trial, make_search, [(2, (0.7,)), (1, (0.6,)), (2, (0.7,)), (1, (0.6,))])
    assert [point.number for point in of(search, "complexity").points] == [2, 1]


def test_where_complexity_never_differs_there_is_no_front(trial, make_search):
    assert fronts(by_complexity(trial, make_search, [(1, (0.7,)), (1, (0.8,))])) == ()
    assert fronts(make_search()) == ()


def test_unfinished_and_failed_trials_are_on_no_front(trial, make_search):
    search = make_search(
        trial(1, "fixed", (0.6,)),
        trial(2, "tree", (0.7,), complexity=3),
        trial(3, "tree", (0.9,), complexity=2, status="failed", error="boom"),
        trial(4, "tree", (0.9,), complexity=2, status="running"),
    )
    assert [point.number for point in of(search, "complexity").points] == [1, 2]


def test_a_step_of_the_front_is_paired_by_seed(trial, make_search):
    # A seed moves both alike, so a gain is clear even if it is small beside the spread.
    search = by_complexity(trial, make_search, [(1, (0.70, 0.75, 0.80)), (3, (0.712, 0.760, 0.811))])
    first, second = of(search, "complexity").points
    assert first.gain is None
    assert second.gain.mean == pytest.approx(0.011)
    assert 0.0 < second.gain.low < 0.011 < second.gain.high
    assert second.spread > 0.04


def test_a_step_that_the_seeds_explain_says_so(trial, make_search):
    search = by_complexity(trial, make_search, [(1, (0.70, 0.75, 0.80)), (3, (0.76, 0.74, 0.80))])
    assert of(search, "complexity").points[1].gain.low < 0.0


def test_a_step_of_equal_pictures_is_as_uncertain_as_one_picture(trial, make_search):
    one = 1 / 5000  # the example's validation set
    search = by_complexity(trial, make_search, [(1, (0.70, 0.75)), (3, (0.70 + one, 0.75 + one))])
    assert of(search, "complexity").points[1].gain.low < 0.0


def test_the_knee_is_where_more_begins_to_buy_less(trial, make_search):
    scores = {1: 0.60, 2: 0.70, 3: 0.79, 4: 0.80, 5: 0.805}
    search = by_complexity(trial, make_search, [(c, (s,)) for c, s in scores.items()])
    assert [p.costs["complexity"] for p in of(search, "complexity").points if p.knee] == [3]


@pytest.mark.parametrize("scores", [{1: 0.6, 5: 0.8}, {1: 0.6, 3: 0.65, 5: 0.8}, {1: 0.6, 3: 0.7, 5: 0.8}])
def test_a_front_without_a_bend_has_no_knee(trial, make_search, scores):
    search = by_complexity(trial, make_search, [(c, (s,)) for c, s in scores.items()])
    assert not any(p.knee for p in of(search, "complexity").points)


def trading(trial, make_search):
    """Return a search: two numbers gain clearly over one; a tree's two more gain nothing beyond the seeds' noise."""
    return make_search(
        trial(1, "fixed", (0.700, 0.750, 0.800)),
        trial(2, "norm_balance", (0.722, 0.771, 0.823), complexity=2),
        trial(3, "tree", (0.730, 0.760, 0.831), complexity=4),
        trial(4, "tree", (0.60, 0.65, 0.70), complexity=4),
    )


def test_the_figure_tells_what_the_last_step_gains(trial, make_search):
    with style():
        (figure,) = front_figures(trading(trial, make_search))
    assert figure.name == "front-complexity"
    assert "From 2 to 4 numbers in the rule: +0.17 points" in figure.finding
    assert "which seeds alone may explain" in figure.finding
    assert {item.label for item in figure.legend} == {"fixed", "norm balance", "tree"}
    assert figure.svg.startswith("<svg")


def test_the_figure_holds_all_trials_and_marks_the_front(trial, make_search):
    search = trading(trial, make_search)
    front = of(search, "complexity")
    assert [point.number for point in front.points] == [1, 2, 3]
    assert [(record.number, cost) for record, cost in _dominated(search, front)] == [(4, 4)]
    first, second = gains_in_words(front, "complexity", Scale(search.objective))
    assert first.startswith("From 1 to 2 numbers in the rule: +2.20 points (95 % interval")
    assert "may explain" not in first
    assert "may explain" in second


def test_a_search_without_a_choice_of_costs_has_no_figure(trial, make_search):
    with style():
        assert front_figures(make_search(trial(1, "fixed", (0.7,)))) == ()


def test_the_report_holds_the_front_as_numbers(trial, make_search):
    (front,) = report_json(ReportSource(search=trading(trial, make_search)))["fronts"]
    assert front["costs"] == ["complexity"]
    assert front["dominated"] == 1
    assert [point["number"] for point in front["points"]] == [1, 2, 3]
    assert front["points"][1]["gain"]["mean"] == pytest.approx(0.022)
    assert front["points"][0]["gain"] is None


@pytest.mark.parametrize("width", [60, 80])
def test_the_terminal_shows_the_front(trial, make_search, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    for part in render_fronts(trading(trial, make_search)):
        console.print(part)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]
    assert lines[0] == "The best accuracy for the numbers in the rule:"
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "4"]
    assert "gain" not in lines[1]  # a rule has one gain, the one over the best constant
    assert lines[3].endswith("2 norm balance")


SIZES = (
    StudentSize(name="base", parameters=24_000, flops=48_000),
    StudentSize(name="wide", parameters=90_000, flops=9_000),
)


def with_students(trial, make_search, *, costs=()):
    """Return a search with a better wide student: a rule beats the best constant with it, but not with the base one."""
    base = [trial(1, "fixed", (0.70, 0.72)), trial(2, "tree", (0.69, 0.71), complexity=4)]
    wide = [trial(3, "fixed", (0.80, 0.82)), trial(4, "tree", (0.85, 0.87), complexity=4)]
    wide = [record.model_copy(update={"student": "wide"}) for record in wide]
    config = {**CONFIG, "space": {"students": {"wide": {"name": "cnn"}}}}
    search = make_search(*base, *wide, student_sizes=SIZES, config=config)
    return search.model_copy(update={"config": search.config.model_copy(update={"costs": costs})})


def test_the_front_of_student_size_is_over_all_students(trial, make_search):
    search = with_students(trial, make_search)
    assert [front.costs for front in fronts(search)] == [("complexity",), ("parameters",)]
    assert [(p.student, p.number) for p in of(search, "parameters").points] == [("base", 1), ("wide", 4)]


def test_the_search_file_says_which_cost_of_a_student_counts(trial, make_search):
    search = with_students(trial, make_search, costs=("complexity", "flops"))
    assert [front.costs for front in fronts(search)] == [("complexity",), ("flops",), ("complexity", "flops")]
    # The wide student needs fewer FLOPs and is better, so no trial of the base student is left.
    assert [p.number for p in of(search, "flops").points] == [4]
    assert [p.number for p in of(search, "complexity", "flops").points] == [3, 4]
    assert all(point.gain is None for point in of(search, "complexity", "flops").points)


def test_each_student_has_its_own_best_constant(trial, make_search):
    base, wide = compare_students(with_students(trial, make_search))
    assert (base.name, base.family, base.constant.number, base.difference.number) == ("base", "fixed", 1, 2)
    assert base.difference.mean == pytest.approx(-0.01)
    assert (wide.name, wide.family, wide.constant.number, wide.difference.number) == ("wide", "tree", 3, 4)
    assert wide.difference.mean == pytest.approx(0.05)
    assert wide.size == SIZES[1]


def test_a_single_student_needs_no_table(trial, make_search):
    assert compare_students(trading(trial, make_search)) == ()


def test_the_terminal_shows_the_students(trial, make_search):
    console = Console(width=100, file=io.StringIO(), color_system=None)
    for part in render_students(ReportSource(search=with_students(trial, make_search))):
        console.print(part)
    rows = [" ".join(line.split()) for line in console.file.getvalue().splitlines()[3:]]
    assert rows == [
        "base 24,000 48,000 71.00 % 71.00 % −1.00 ± 0.01",
        "wide 90,000 9,000 86.00 % 81.00 % +5.00 ± 0.01",
    ]


def test_rules_are_ranked_under_the_best_trials_student_alone(trial, make_search):
    search = with_students(trial, make_search)
    assert {record.student for record in search.of_student().trials} == {"wide"}
    assert compare_to_constant(search.of_student("base")).constant.number == 1


def test_the_page_has_a_row_for_each_student(trial, make_search):
    page = render_html(ReportSource(search=with_students(trial, make_search)), ())
    section = page[page.index("The students") : page.index("The ranking above is that of wide")]
    assert section.count("<tr>") == 3
    assert "90,000" in section
    assert "The students" not in render_html(ReportSource(search=trading(trial, make_search)), ())
