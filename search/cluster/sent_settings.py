"""Writes a search's settings as the text of one environment variable, which Linux limits to 128 KiB."""

from __future__ import annotations

import base64
import json
import lzma

from search.settings import SearchConfig

_LONGEST = 60_000  # Ray escapes the text once or twice on its way


def settings_text(config: SearchConfig) -> str:
    """Return the settings as JSON, or compressed where the texts of the user's files make them long."""
    text = config.model_dump_json()
    if len(text) <= _LONGEST:
        return text
    return base64.b64encode(lzma.compress(text.encode())).decode()


def settings_from(text: str) -> SearchConfig:
    """Return the settings of a text that `settings_text` wrote.

    Raises:
        ConfigError: they are those of another release.
    """
    if not text.startswith("{"):
        text = lzma.decompress(base64.b64decode(text)).decode()
    return SearchConfig.parse(json.loads(text))
