"""Builds the views of a search's runs in MLflow's web page.

By default the page shows neither scores nor rules. A shared view, which is a tag of the experiment, names the columns.
The tag's form is what the page of MLflow 3.17 writes itself when a view is shared; a page that cannot read it says so
and shows its own columns.
"""

from __future__ import annotations

import json
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
_BY_FAMILY = {"aggregateFunction": "max", "groupByKeys": [{"mode": "param", "groupByData": "family"}]}


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
            search, "trial", shown, ascending, groupBy=_BY_FAMILY | {"aggregateFunction": best}
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
        **more,
    }
    return json.dumps(state)
