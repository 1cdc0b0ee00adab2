"""From what the command line is given to where and how virtual steps are taken. Imports no torch."""

from __future__ import annotations

from search.errors import SearchError
from trainables.records import ProbeSettings


def probe_settings(*, probes: int | None, pictures: int, horizons: str) -> ProbeSettings:
    """Checked settings.

    Args:
        probes: places along a training; None for as many as suit its length.
        pictures: held-out ones.
        horizons: whole numbers of steps, apart by commas.

    Raises:
        SearchError: `horizons` are no whole numbers.
        ConfigError: a setting is out of its bounds.
    """
    try:
        steps = tuple(int(part) for part in horizons.split(","))
    except ValueError as error:
        raise SearchError(f"`--horizons` takes whole numbers such as 1,5,20, but got {horizons!r}.") from error
    return ProbeSettings.parse({"probes": probes, "pictures": pictures, "horizons": steps})
