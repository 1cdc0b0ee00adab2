"""What can be found wrong with a search before anything heavy is imported or started."""

from __future__ import annotations

from search.config import SearchConfig
from search.launch import Launch
from trainables.datasets import check_dataset
from trainables.models import check_model
from trainables.teacher import check_teacher


def check_config(config: SearchConfig, launch: Launch) -> None:
    """Find mistakes that need no PyTorch to be found.

    Raises:
        KDPolicySearchError: data, models or checkpoint are missing or unknown.
    """
    check_model(config.student)
    check_teacher(config.teacher)
    check_dataset(config.data, launch.data_root)
