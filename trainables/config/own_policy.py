"""A rule of the user's own, as a part of the settings, so that it reaches every process that uses it."""

from __future__ import annotations

from typing import Any

import pydantic

from policies.extensions import register_policy
from policies.own_file import policy_from_source
from policies.policy import Policy
from trainables.settings import Settings


class OwnPolicy(Settings):
    """A rule, given by its class and the text of its file. Creating an object registers the rule's family.

    Unpickling registers it, too: a trial's process has neither the file nor what the command line registered.
    """

    origin: str
    """The names of the file and the class: `my_rules.py:MyRule`."""
    source: str
    """The file's text."""

    @pydantic.model_validator(mode="after")
    def _register(self) -> OwnPolicy:
        register_policy(self.policy_class)
        return self

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        register_policy(self.policy_class)

    @property
    def policy_class(self) -> type[Policy]:
        """The rule's class."""
        return policy_from_source(self.origin, self.source)

    @property
    def family(self) -> str:
        """The family that the class adds."""
        return self.policy_class.family
