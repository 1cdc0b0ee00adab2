"""Refuses rules that a training cannot give what they look at."""

from __future__ import annotations

import json

from policies.registry import create_policy
from search.settings import SearchConfig
from trainables.errors import ConfigError


def refuse_rules_on_logits(config: SearchConfig, but: str) -> None:
    """Raise ConfigError if a family looks at logits, which a training with two losses of its own does not give.

    Args:
        config: the search.
        but: the reason and the beginning of the remedy, which ends with the line that works.
    """
    unusable = [family for family in config.families if create_policy(family, {}).needs_logits]
    if unusable:
        usable = [family for family in config.families if family not in unusable]
        raise ConfigError(
            f"`families`: {', '.join(unusable)} cannot be used, since they look at logits, but {but} families ="
            f" {json.dumps(usable)}."
        )
