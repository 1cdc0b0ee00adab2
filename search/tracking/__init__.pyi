from .check import check_quickly as check_quickly
from .check import check_tracking as check_tracking
from .confirmed import TrackedConfirmation as TrackedConfirmation
from .live import LiveProjection as LiveProjection
from .process import MLflowProcess as MLflowProcess
from .synchronise import TrackingReport as TrackingReport
from .synchronise import sync as sync
from .ui import serve_ui as serve_ui
