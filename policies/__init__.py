"""λ policies for knowledge distillation, and the `LossBalancer` that runs them in any PyTorch loop.

Every family of rules is here by its class's name: `from policies import CosineThreshold`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policies import families
from policies.document import load_policy, policy_document
from policies.errors import KDPolicySearchError, PolicyError
from policies.extensions import register_policy
from policies.families import *  # noqa: F403 - `__all__` below lists them
from policies.geometry import Geometry
from policies.own_file import load_policy_class
from policies.policy import BatchPolicy, Decision, Observation, Policy
from policies.registry import create_policy
from policies.sample import SampleObservation, SamplePolicy

if TYPE_CHECKING:
    from policies.balancer import LossBalancer, Step
    from policies.losses import distillation_loss
    from policies.monitoring import Monitor

__all__ = [
    "BatchPolicy",
    "Decision",
    "Geometry",
    "KDPolicySearchError",
    "LossBalancer",
    "Monitor",
    "Observation",
    "Policy",
    "PolicyError",
    "SampleObservation",
    "SamplePolicy",
    "Step",
    "create_policy",
    "distillation_loss",
    "load_policy",
    "load_policy_class",
    "policy_document",
    "register_policy",
]
__all__ += families.__all__

# Names that need torch are imported on first use: listing policies and checking a search file must not take seconds.
_WITH_TORCH = {
    "LossBalancer": "policies.balancer",
    "Monitor": "policies.monitoring",
    "Step": "policies.balancer",
    "distillation_loss": "policies.losses",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module 'policies' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_WITH_TORCH[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
