"""A search on a task calls its samples as the task does, and never pictures."""

import io

import numpy as np
import pytest
from rich.console import Console

from search.evidence.source import ReportSource
from search.report.figures.groups import figure_groups
from search.report.page import render_html
from search.report.tables.kpis import kpi_table
from search.report.terminal.report import render_report
from tests.search.picture_counts import picture_counts
from tests.search.report.conftest import build_confirmation
from trainables.records.sample_values import SampleValues


def on_patients(search, **changes):
    sizes = {"train": 300, "pool": 300, "validation": 5000, "test": None, "shape": (12,), "unit": "patients", **changes}
    return search.model_copy(update={"pictures": picture_counts(**sizes)})


def with_samples(record, size=400):
    """Return a confirmation that knows of each test sample whether it was classified correctly."""
    results = []
    for result in record.results:
        right = np.arange(size) < round(size * result.test.accuracy)
        results.append(result.model_copy(update={"samples": {"accuracy": SampleValues.of(right)}}))
    return record.model_copy(update={"results": tuple(results), "test_size": size})


def report_and_page(source):
    """Return both texts, in small letters and with one space between words."""
    console = Console(width=100, file=io.StringIO(), color_system=None)
    console.print(render_report(source))
    page = render_html(source, figure_groups(source, ()))
    return [" ".join(text.lower().split()) for text in (console.file.getvalue(), page)]


@pytest.mark.parametrize(
    ("gain", "changes", "kind"),
    [
        (None, {}, None),
        (0.02, {}, "rule"),
        (0.0, {}, "constant"),
        (0.0, {"smallest_gain": 0.01}, "cannot_tell"),
        (0.02, {"constant": None, "test_size": None}, "cannot_tell"),
    ],
    ids=["not confirmed", "rule", "constant", "cannot tell", "not bracketed, size not known"],
)
@pytest.mark.parametrize("teacher", [0.924, 0.3], ids=["", "poor teacher"])
def test_a_report_on_patients_does_not_speak_of_pictures(full_search, gain, changes, kind, teacher):
    search = on_patients(full_search).model_copy(update={"teacher_accuracy": teacher})
    record = None if gain is None else build_confirmation(search, gain).model_copy(update=changes)
    source = ReportSource(search=search, confirmation=record)
    assert getattr(source.judgement.verdict, "kind", None) == kind
    for text in report_and_page(source):
        assert "5,000 validation patients" in text
        assert "picture" not in text
        assert ("10,000 test patients" in text) == (record is not None and record.test_size is not None)


def test_where_the_noise_of_test_samples_is_known_it_is_that_of_patients(full_search):
    search = on_patients(full_search)
    source = ReportSource(search=search, confirmation=with_samples(build_confirmation(search, 0.02)))
    assert not source.confirmed.comparison.seeds_only
    for text in report_and_page(source):
        assert "of the choice of 400 test patients" in text
        assert "picture" not in text


@pytest.mark.parametrize(
    ("own_losses", "label", "unit"), [(False, "Cross entropy", "nats"), (True, "Loss on the labels", "")], ids=str
)
def test_a_loss_of_ones_own_is_no_cross_entropy(full_search, own_losses, label, unit):
    search = on_patients(full_search, own_losses=own_losses)
    for confirmation in (None, build_confirmation(search, 0.02)):
        table = kpi_table(ReportSource(search=search, confirmation=confirmation))
        (row,) = (row for row in table.rows if row.name == "loss")
        assert (row.label, row.unit) == (label, unit)
