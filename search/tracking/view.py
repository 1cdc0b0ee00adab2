"""Builds the address of a search in MLflow's web page, and the first view of its table of runs there.

By default the page shows neither scores nor rules. A shared view, which is a tag of the experiment, names the columns.
The tag's form is what the page of MLflow 3.17 writes itself when a view is shared; a page that cannot read it says so
and shows its own columns.
"""

from __future__ import annotations

import json
import urllib.parse

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


def view_tags(search: str, *, confirmed: bool = False) -> dict[str, str]:
    """Return names and values of the experiment's tags that hold the views of this search.

    The views show its trials by score and, if it is confirmed, its finalists by test score; best first.
    """
    tags = {f"{_PREFIX}{search}": _view(search, "trial", "score", _COLUMNS)}
    if confirmed:
        tags[f"{_PREFIX}{confirmed_view(search)}"] = _view(search, "finalist", "test_score", _CONFIRMED_COLUMNS)
    return tags


def confirmed_view(search: str) -> str:
    """Return the name of the view of a search's finalists."""
    return f"{search}-confirmed"


def _view(search: str, role: str, metric: str, columns: tuple[str, ...]) -> str:
    state = {
        "searchFilter": f"tags.`kd.search` = '{search}' and tags.`kd.role` = '{role}'",
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": False,
        "selectedColumns": columns,
    }
    return json.dumps(state)


def runs_url(base: str, experiment_id: str, view: str | None = None) -> str:
    """Return the address of the table of runs in the page at `base` (`http://host:port`), in a view if one is named."""
    query = {"workflowType": "machine_learning"}  # else the page shows what it has for language models
    if view is not None:
        query["viewStateShareKey"] = view
    return f"{base.rstrip('/')}/#/experiments/{experiment_id}/runs?{urllib.parse.urlencode(query)}"
