"""Errors of the search itself; all are `policies.errors.KDPolicySearchError`."""

from __future__ import annotations

from policies.errors import KDPolicySearchError, nearest


class SearchError(KDPolicySearchError):
    """A search is unknown, exists already, is damaged or cannot continue."""


class TrackingError(KDPolicySearchError):
    """The MLflow store is unknown, cannot be reached or cannot be written."""


class ClusterError(KDPolicySearchError):
    """A Ray cluster or job cannot be reached, or lacks the resources that are asked for."""


__all__ = ["ClusterError", "KDPolicySearchError", "SearchError", "TrackingError", "nearest"]
