"""Builds the views of a search's runs in MLflow's web page.

By default the page shows neither scores nor rules. A shared view, which is a tag of the experiment, names the columns.
The tag's form is what the page of MLflow 3.17 writes itself when a view is shared; a page that cannot read it says so
and shows its own columns.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Sequence
from typing import Any

FAMILIES = "-families"
"""The end of the name of the view that has a row for each family."""
CONFIRMED = "-confirmed"
"""The end of the name of the view of the finalists."""
_PREFIX = "mlflow.sharedViewState."
_COLUMNS = (
    "metrics.`score`",
    "metrics.`score_std`",
    "params.`family`",
    "params.`policy.complexity`",
    "params.`learning_rate`",
    "params.`temperature`",
    "tags.`policy.rule`",
)
_CONFIRMED_COLUMNS = (
    "metrics.`test_score`",
    "metrics.`test_score_std`",
    "metrics.`gain`",
    "metrics.`gain_low`",
    "metrics.`gain_high`",
    "metrics.`p_corrected`",
    "tags.`policy.rule`",
)
_BY_FAMILY = [{"mode": "param", "groupByData": "family"}]
_FIRST = ("attributes.`Run Name`", "runDateAndNestInfo", "duration")
"""The columns that MLflow's page always shows."""
_WIDTHS = {
    "attributes.`Run Name`": 270,
    "params.`family`": 160,
    "params.`policy.complexity`": 140,
    "tags.`policy.rule`": 500,
}
"""The widths of columns in pixels, where MLflow's own cut what stands in them."""
_SECTIONS = ("Model metrics", "validation", "train", "step")
"""The sections of charts in their order; the first has the metrics whose names have no slash."""


def page_address(base: str, experiment_id: str, view: str | None = None, *, charts: bool = False) -> str:
    """Return the address of an experiment's runs in MLflow's page at `base` (`http://host:port`).

    Args:
        base: where the page is served.
        experiment_id: of the runs.
        view: the name of a view: a search's name, perhaps with `FAMILIES` or `CONFIRMED`; None for MLflow's own.
        charts: True for charts, False for the table.
    """
    query = {"workflowType": "machine_learning"}  # else the page shows what it has for language models
    if view is not None:
        query["viewStateShareKey"] = view
    if charts:
        query["compareRunsMode"] = "CHART"
    return f"{base.rstrip('/')}/#/experiments/{experiment_id}/runs?{urllib.parse.urlencode(query)}"


def view_tags(
    search: str, *, settings: Sequence[str] = (), ascending: bool = False, confirmed: bool = False
) -> dict[str, str]:
    """Return names and values of the experiment's tags that hold the views of this search.

    The views show its trials by score, the same grouped by family and, if it is confirmed, its finalists by test score;
    best first.

    Args:
        search: the search's name.
        settings: further settings that are searched alike for all families, each with a column.
        ascending: True if less of the objective is better.
        confirmed: True if there are finalists.
    """
    *columns, rule = _COLUMNS
    shown = (*columns, *(f"params.`{name}`" for name in settings), rule)
    best = "min" if ascending else "max"
    tags = {
        f"{_PREFIX}{search}": _view(search, "trial", shown, ascending),
        f"{_PREFIX}{search}{FAMILIES}": _view(
            search, "trial", shown, ascending, groupBy={"aggregateFunction": best, "groupByKeys": _BY_FAMILY}
        ),
    }
    if confirmed:
        tags[f"{_PREFIX}{search}{CONFIRMED}"] = _view(search, "finalist", _CONFIRMED_COLUMNS, ascending)
    return tags


def _view(search: str, role: str, columns: tuple[str, ...], ascending: bool, **more: Any) -> str:
    """Return a view of these columns that is sorted by the first of them."""
    state = {
        "searchFilter": f"tags.`kd.search` = '{search}' and tags.`kd.role` = '{role}'",
        "orderByKey": columns[0],
        "orderByAsc": ascending,
        "selectedColumns": columns,
        "columnOrder": (*_FIRST, *columns),
        "columnWidths": _WIDTHS,
        # MLflow adds a chart for each further metric, in the section of its name.
        "compareRunCharts": [_bars(columns[0])],
        "compareRunSections": [_section(name) for name in _SECTIONS],
        "isAccordionReordered": True,  # else MLflow sorts the sections by name
        **more,
    }
    return json.dumps(state)


def _bars(column: str) -> dict[str, Any]:
    """Return a chart of a metric, one bar a run or group, for the first section, as MLflow's page makes it."""
    metric = column.split("`")[1]
    return {
        "uuid": f"kd-search-{metric}",
        "type": "BAR",
        "runsCountToCompare": 10,
        "metricSectionId": _section(_SECTIONS[0])["uuid"],
        "deleted": False,
        "isGenerated": True,
        "displayName": metric,
        "metricKey": metric,
    }


def _section(name: str) -> dict[str, Any]:
    """Return a section as MLflow's page makes it."""
    return {
        "uuid": f"kd-search-{name.replace(' ', '-')}",
        "name": name,
        "display": True,
        "isReordered": name == _SECTIONS[0],  # else MLflow sorts its charts
        "deleted": False,
        "isGenerated": True,
    }
