"""Builds the first view of a search's table of runs in MLflow's web page.

By default the page shows neither scores nor rules. A shared view, which is a tag of the experiment, names the columns.
The tag's form is what the page of MLflow 3.17 writes itself when a view is shared; a page that cannot read it says so
and shows its own columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

_PREFIX = "mlflow.sharedViewState."
_COLUMNS = (
    "metrics.`score`",
    "metrics.`score_std`",
    "metrics.`complexity`",
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


def view_tags(search: str, *, settings: Sequence[str] = (), confirmed: bool = False) -> dict[str, str]:
    """Return names and values of the experiment's tags that hold the views of this search.

    The views show its trials by score and, if it is confirmed, its finalists by test score; best first.

    Args:
        search: the search's name.
        settings: further settings that are searched alike for all families, each with a column.
        confirmed: True if there are finalists.
    """
    *columns, rule = _COLUMNS
    tags = {f"{_PREFIX}{search}": _view(search, "trial", (*columns, *(f"params.`{name}`" for name in settings), rule))}
    if confirmed:
        tags[f"{_PREFIX}{search}-confirmed"] = _view(search, "finalist", _CONFIRMED_COLUMNS)
    return tags


def _view(search: str, role: str, columns: tuple[str, ...]) -> str:
    """Return a view of these columns that is sorted by the first of them."""
    state = {
        "searchFilter": f"tags.`kd.search` = '{search}' and tags.`kd.role` = '{role}'",
        "orderByKey": columns[0],
        "orderByAsc": False,
        "selectedColumns": columns,
    }
    return json.dumps(state)
