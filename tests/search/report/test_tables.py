import csv
import datetime
import io
import statistics

import pytest

from search.drawing.tables import Table
from search.evidence.source import ReportSource
from search.report.files import report_tables
from search.report.tables.costs import costs
from search.report.tables.finalists import ranked_finalists
from search.report.tables.guard import guard_table
from search.report.tables.kpis import KPIValue, kpi_table, shown, shown_spread
from tests.search.report.conftest import START


def rows_of(table):
    return list(csv.DictReader(io.StringIO(table.to_csv())))


def value_of(table, name, who):
    row = next(row for row in table.rows if row.name == name)
    return row.values[[column.label for column in table.columns].index(who)]


def test_a_table_keeps_every_digit_and_leaves_out_what_is_not_there():
    table = Table(("a", "b"), ((0.1 + 0.2, None), (1, 'x,"y"')))
    assert rows_of(table) == [{"a": "0.30000000000000004", "b": ""}, {"a": "1", "b": 'x,"y"'}]


def test_kpis_of_a_confirmation_are_those_of_its_record(with_winner):
    table, record = kpi_table(with_winner), with_winner.confirmation
    assert [column.label for column in table.columns] == ["Teacher", "Labels alone", "Best constant", "Winner"]
    assert [column.chosen for column in table.columns] == [False, False, False, True]
    accuracies = [result.test.accuracy for result in record.results if result.finalist == "norm_ratio_threshold"]
    winner = value_of(table, "accuracy", "Winner")
    assert winner.mean == pytest.approx(statistics.fmean(accuracies))
    assert winner.spread == pytest.approx(statistics.stdev(accuracies))
    assert value_of(table, "accuracy", "Teacher") == KPIValue(mean=0.924)
    assert value_of(table, "agreement", "Teacher").mean is None
    assert value_of(table, "parameters", "Teacher").mean == 308_000
    assert value_of(table, "parameters", "Winner").mean == value_of(table, "parameters", "Best constant").mean == 24_000
    assert value_of(table, "cpu_p95_ms", "Winner").mean == 0.31
    assert "12.8 times fewer parameters" in table.note
    assert (table.on, table.seeds, table.measured_on) == ("test", 10, "Some Processor, 1 thread")


def test_a_constant_that_wins_has_one_column_beside_the_nearest_rule(without_winner):
    columns = kpi_table(without_winner).columns
    assert [(c.label, c.chosen) for c in columns] == [
        ("Teacher", False), ("Labels alone", False), ("Best constant", True), ("Nearest rule", False),
    ]  # fmt: skip


def test_the_heading_of_the_kpis_names_the_columns_that_there_are(searched, without_winner):
    assert kpi_table(searched).heading == "Teacher, labels alone, best constant and best rule side by side"
    full = kpi_table(without_winner)
    assert full.heading == "Teacher, labels alone, best constant and nearest rule side by side"
    record = without_winner.confirmation  # with λ = 0 as the only confirmed constant, thus the best
    finalists = tuple(f for f in record.finalists if f.role in ("rule", "labels_alone"))
    results = tuple(r for r in record.results if r.finalist in {finalist.key for finalist in finalists})
    alone = record.model_copy(update={"finalists": finalists, "results": results})
    table = kpi_table(ReportSource(search=without_winner.search, confirmation=alone))
    assert [column.label for column in table.columns] == ["Teacher", "Best constant", "Winner"]
    assert table.heading == "Teacher, best constant and winner side by side"


def test_kpis_of_a_search_leave_out_what_only_a_confirmation_measures(searched):
    table = kpi_table(searched)
    assert table.on == "validation"
    assert value_of(table, "parameters", "Best rule").mean == 24_000
    assert value_of(table, "parameters", "Teacher").mean == 308_000
    assert not {"flops", "file_bytes", "cpu_p50_ms"} & {row.name for row in table.rows}
    assert all(any(value.mean is not None for value in row.values) for row in table.rows)


def test_a_figure_that_one_seed_lacks_is_not_averaged_over_the_others(full_search):
    best = full_search.finished[0]
    known = best.history.replicates[0].model_copy(update={"calibration_error": 0.02})
    history = best.history.model_copy(update={"replicates": (known, *best.history.replicates[1:])})
    trials = tuple(t.model_copy(update={"history": history}) if t is best else t for t in full_search.trials)
    table = kpi_table(ReportSource(search=full_search.model_copy(update={"trials": trials})))
    assert "accuracy" in {row.name for row in table.rows}
    assert "calibration_error" not in {row.name for row in table.rows}  # no column has one


@pytest.mark.parametrize(
    ("mean", "unit", "text"),
    [
        (0.9366, "%", "93.66 %"),
        (2_410, "", "2,410"),
        (647_000, "FLOPs", "647 k"),
        (12_500_000_000, "FLOPs", "12.5 G"),
        (11_900, "B", "11.9 kB"),
        (0.0302, "ms", "0.0302 ms"),
        (1_640_037, "samples/s", "1,640,000 samples/s"),
        (-0.25, "", "−0.25"),
        (None, "ms", ""),
        (float("nan"), "%", ""),
    ],
)
def test_values_are_written_for_people(mean, unit, text):
    assert shown(KPIValue(mean=mean), unit) == text


def test_a_spread_is_written_where_there_is_a_value():
    assert shown_spread(KPIValue(mean=0.9, spread=0.0123), "%") == "± 1.23"
    assert shown_spread(KPIValue(mean=None, spread=0.1), "%") == shown_spread(KPIValue(mean=1.0), "") == ""


def test_cost_counts_students_and_steps_and_leaves_out_pauses(trial, make_search):
    def at(number, begin, end, **changes):
        times = {"started": START + datetime.timedelta(seconds=begin), "ended": START + datetime.timedelta(seconds=end)}
        return trial(number, **changes).model_copy(update=times)

    search = make_search(
        at(1, 0, 40, curves=True),
        at(2, 30, 50, curves=True),
        at(3, 100, 110, status="failed"),
        at(4, 105, 120, curves=True),
    )
    (cost,) = costs(ReportSource(search=search))
    assert (cost.trainings, cost.failed) == (9, 1)
    assert cost.steps == 9 * (19 * 49 + 1)
    assert cost.training_seconds == 90.0
    assert cost.wall_seconds == 50 + 20


def test_cost_of_a_confirmation(with_winner):
    _, cost = costs(with_winner)
    assert (cost.part, cost.trainings, cost.steps) == ("confirmation", 70, 70 * (20 * 11 + 1))
    assert cost.training_seconds == 140.0
    assert cost.wall_seconds == pytest.approx(69 * 1.5 + 2.0)  # each begins before the one before has ended


def test_what_was_not_recorded_is_not_made_up(trial, make_search):
    search = make_search(trial(1, curves=True), trial(2))
    assert costs(ReportSource(search=search))[0].steps is None


def test_the_guard_is_counted_by_family_and_kind(full_search, with_winner):
    record = with_winner.confirmation
    first, *others = record.results
    changed = first.model_copy(update={"interventions": {"a gradient is not finite": 3}, "skipped_steps": 3})
    history = full_search.trials[0].history.model_copy(
        update={"interventions": {"λ would move too fast": 40, "a gradient is not finite": 0}, "skipped_steps": 1}
    )
    trials = (full_search.trials[0].model_copy(update={"history": history}), *full_search.trials[1:])
    table = guard_table(
        ReportSource(
            search=full_search.model_copy(update={"trials": trials}),
            confirmation=record.model_copy(update={"results": (changed, *others)}),
        )
    )
    assert [(row.family, row.kind, row.times, row.trials) for row in table.rows] == [
        ("fixed", "λ would move too fast", 40, 1),
        ("norm_ratio_threshold", "a gradient is not finite", 3, 1),
    ]
    assert table.skipped_steps == 4
    assert guard_table(with_winner).rows == ()


def test_finalists_are_in_the_order_of_their_test_scores(with_winner):
    rows = ranked_finalists(with_winner.confirmed)
    assert [row.place for row in rows] == list(range(1, 8))
    assert [row.test for row in rows] == sorted((row.test for row in rows), reverse=True)
    marks = {row.key: row.mark for row in rows}
    assert marks["norm_ratio_threshold"] == "beats it"
    assert marks["fixed-0.45"] == "the best constant"
    assert marks["fixed-0"] == "behind"


def test_the_csv_files_hold_the_record(with_winner):
    found, record = report_tables(with_winner), with_winner.confirmation
    seeds = rows_of(found["finalists-by-seed"])
    assert [(row["key"], int(row["seed"]), float(row["test_accuracy"])) for row in seeds] == [
        (result.finalist, result.seed, result.test.accuracy) for result in record.results
    ]
    finalists = {row["key"]: row for row in rows_of(found["finalists"])}
    for row in with_winner.judgement.finalists.rows:
        assert float(finalists[row.key]["test_score"]) == row.test
        told = finalists[row.key]["difference"]
        assert told == ("" if row.difference is None else repr(row.difference.mean))
    gain = rows_of(found["gains"])[0]
    assert float(gain["mean"]) == with_winner.judgement.finalists.of("norm_ratio_threshold").difference.mean
    assert [row["part"] for row in rows_of(found["costs"])] == ["search", "confirmation"]
    assert {row["column"] for row in rows_of(found["kpis"])} >= {"Teacher", "Winner"}
    assert not found["guard"]
