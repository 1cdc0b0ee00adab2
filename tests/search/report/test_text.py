import dataclasses
import io
import re

import pytest
from rich.console import Console, Group

from search.evidence import judge
from search.evidence.source import ReportSource
from search.report.terminal.kpis import render_own_kpis
from search.report.terminal.report import render_report, render_table
from search.settings.commands import next_command


def shown(search, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(render_table(search, judge(search)))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits_and_holds_what_matters(full_search, width):
    text = shown(full_search, width)
    assert all(len(line) <= width for line in text.splitlines())
    words = " ".join(text.split())
    best = full_search.finished[0]
    assert f"{100 * best.score:.2f} % ±" in words
    assert "not confirmed on the test set" in words
    assert " ".join(best.rule.split()) in words
    assert "1 trial failed" in words
    for family in ("norm ratio threshold", "norm balance", "fixed", "cosine schedule"):
        assert family in words


def test_a_column_without_room_is_named_with_its_place(full_search):
    assert "In a wider terminal" not in shown(full_search, 120)
    narrow = " ".join(shown(full_search, 50).split())
    assert "In a wider terminal and on the page: median, numbers" in narrow
    assert "norm ratio threshold" in narrow


def test_markup_in_a_name_is_only_text(trial, make_search):
    failed = trial(1, "fixed", status="failed", error="[red]IndexError[/red]: [0]")
    assert "[red]IndexError[/red]: [0]" in shown(make_search(failed), 100)


def test_many_failures_are_counted_not_listed(trial, make_search):
    search = make_search(*(trial(n, "fixed", status="failed", error="boom") for n in range(1, 10)))
    text = shown(search, 80)
    assert text.count("boom") == 5
    assert "and 4 more" in text


def test_nothing_at_all_is_a_sentence(make_search):
    assert shown(make_search(), 80).strip() == "No trial has finished, so there is nothing to rank."


def reported(source, width=100, **options):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(render_report(source, **options))
    return " ".join(console.file.getvalue().split())


def test_a_confirmed_answer_comes_before_the_search_and_says_what_to_train_with(with_winner, without_winner):
    text = reported(with_winner)
    places = [
        text.index(part)
        for part in (with_winner.judgement.verdict.headline, "Train with", "The search that led to it:")
    ]
    assert places == sorted(places)
    winner = with_winner.confirmation.finalists[0]
    assert f"Train with norm ratio threshold (trial {winner.trial}, learning rate" in text
    assert " ".join(winner.rule.split()) in text
    assert "Train with λ = 0.45 (learning rate 0.01):" in reported(without_winner)


def test_beside_a_confirmation_the_search_is_not_called_unconfirmed(with_winner, begun):
    unconfirmed = "not confirmed on the test set"
    assert unconfirmed not in reported(with_winner)
    assert unconfirmed in reported(begun)  # it has no answer yet
    assert "so it is optimistic." in reported(with_winner).partition("The search that led to it:")[2]


def test_what_is_done_next_anyway_is_not_told_to_be_typed(searched):
    text = reported(searched, with_remedy=False)
    assert "kd-search confirm" not in text
    judgement = judge(searched.judged)
    assert text.startswith(f"{judgement.worth.text} {judgement.search_verdict.headline}")


def test_without_a_confirmation_the_command_is_told(searched, begun):
    assert reported(searched).endswith("kd-search confirm example")
    text = reported(begun)
    assert "1 of 70 trainings are still to come" in text
    assert "beats the best constant" not in text


def test_a_command_longer_than_a_line_can_be_copied_as_a_whole(searched, launch):
    console = Console(width=60, file=io.StringIO(), color_system=None)
    console.print(render_report(dataclasses.replace(searched, launch=launch)), crop=False)
    assert console.file.getvalue().endswith(f"\n  {next_command('confirm', 'example', launch)}\n")
    assert len(next_command("confirm", "example", launch)) > 60


def with_recall(record, name="recall_of_3"):
    """Return a search whose trials have a KPI of the user's: 0.25 under the first seed, 0.75 under all others."""
    trials = []
    for trial in record.trials:
        measured = tuple(
            result.model_copy(update={"own_kpis": {name: 0.25 if place == 0 else 0.75}})
            for place, result in enumerate(trial.history.replicates)
        )
        trials.append(trial.model_copy(update={"history": trial.history.model_copy(update={"replicates": measured})}))
    return record.model_copy(update={"trials": tuple(trials)})


def test_the_users_kpis_stand_below_the_table_for_those_that_the_page_compares(full_search):
    text = reported(ReportSource(search=with_recall(full_search)))
    assert "Your KPIs on the validation set, mean over 3 seeds ± standard deviation:" in text
    assert text.index("Best rule (") < text.index("Your KPIs") < text.index("The best accuracy for the numbers")
    (row,) = re.findall(r"recall_of_3((?: 0\.583 ± 0\.29)+)", text)
    assert row.count("0.583") == 3  # labels alone, best constant, best rule; a search does not measure the teacher
    assert "Your KPIs" not in reported(ReportSource(search=full_search))


def test_a_confirmations_kpis_are_those_of_the_test_pictures_with_the_teachers(full_search, with_winner):
    record = with_winner.confirmation
    results = tuple(result.model_copy(update={"own_kpis": {"recall_of_3": 0.5}}) for result in record.results)
    measured = record.model_copy(update={"results": results, "teacher_kpis": {"recall_of_3": 0.875}})
    text = reported(ReportSource(search=full_search, confirmation=measured))
    assert "Your KPIs on the test set, mean over 10 seeds" in text
    assert "recall_of_3 0.875 0.5 ± 0 0.5 ± 0 0.5 ± 0" in text
    assert "Your KPIs" not in reported(with_winner)


@pytest.mark.parametrize("width", [60, 80])
def test_kpis_with_long_names_fit_into_a_narrow_terminal(full_search, width):
    source = ReportSource(search=with_recall(full_search, "recall_of_the_crossings_at_night"))
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(Group(*render_own_kpis(source)))
    assert all(len(line) <= width for line in console.file.getvalue().splitlines())
    assert "0.583" in console.file.getvalue()
