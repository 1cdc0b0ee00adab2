"""MLflow's view of a search: a projection of what Tune has stored, which can be rebuilt at any time.

Importing this package imports no MLflow; that happens where a store is opened.
"""

from __future__ import annotations

from search.settings.tracking_uri import default_tracking_uri
from search.tracking.check import check_quickly, check_tracking
from search.tracking.confirmed import TrackedConfirmation
from search.tracking.live import LiveProjection
from search.tracking.process import MLflowProcess
from search.tracking.projection import Projection
from search.tracking.synchronise import TrackingReport, sync
from search.tracking.ui import experiment_url, serve_ui, ui_command, ui_environment

__all__ = [
    "LiveProjection",
    "MLflowProcess",
    "Projection",
    "TrackedConfirmation",
    "TrackingReport",
    "check_quickly",
    "check_tracking",
    "default_tracking_uri",
    "experiment_url",
    "serve_ui",
    "sync",
    "ui_command",
    "ui_environment",
]
