"""Parses the command line's settings of virtual steps. Imports no torch."""

from __future__ import annotations

from search.errors import SearchError
from trainables.records import ProbeSettings


def probe_settings(*, probes: int | None, pictures: int, horizons: str) -> ProbeSettings:
    """Return the checked settings.

    Args:
        probes: places along a training; None chooses their number by its length.
        pictures: the number of held-out pictures.
        horizons: whole numbers of steps, separated by commas.

    Raises:
        SearchError: `horizons` are not whole numbers.
        ConfigError: a setting is out of its bounds.
    """
    try:
        steps = tuple(int(part) for part in horizons.split(","))
    except ValueError as error:
        raise SearchError(f"`--horizons` takes whole numbers such as 1,5,20, but got {horizons!r}.") from error
    return ProbeSettings.parse({"probes": probes, "pictures": pictures, "horizons": steps})
