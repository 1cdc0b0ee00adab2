"""The address of a search in MLflow's web page, and how its table of runs looks there at first.

Left alone, the page shows neither scores nor rules. A shared view, which is a tag of the experiment, names the columns.
The tag's form is what the page of MLflow 3.17 writes itself when a view is shared; a page that cannot read it says so
and shows its own columns.
"""

from __future__ import annotations

import json
import urllib.parse

_COLUMNS = (
    "metrics.`score`",
    "metrics.`score_std`",
    "metrics.`complexity`",
    "params.`learning_rate`",
    "params.`temperature`",
    "tags.`policy.rule`",
)


def view_tag(search: str) -> tuple[str, str]:
    """Name and value of the experiment's tag that holds the view of this search: its trials, best first."""
    state = {
        "searchFilter": f"tags.`kd.search` = '{search}' and tags.`kd.role` = 'trial'",
        "orderByKey": "metrics.`score`",
        "orderByAsc": False,
        "selectedColumns": _COLUMNS,
    }
    return f"mlflow.sharedViewState.{search}", json.dumps(state)


def runs_url(base: str, experiment_id: str, search: str | None = None) -> str:
    """The table of runs in the page at `base` (`http://host:port`), with the view of a search if one is named."""
    query = {"workflowType": "machine_learning"}  # else the page shows what it has for language models
    if search is not None:
        query["viewStateShareKey"] = search
    return f"{base.rstrip('/')}/#/experiments/{experiment_id}/runs?{urllib.parse.urlencode(query)}"
