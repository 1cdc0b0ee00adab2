"""Derives seeds by name, so that a new family or student does not change the seeds of the others."""

from __future__ import annotations

import hashlib


def seed_of(search_seed: int, *names: str | int) -> int:
    """Derive a seed of 32 bits from a search's seed and the names of what it is for.

    The hash is BLAKE2b, which is the same on every machine and in every process, unlike Python's `hash`.

    Args:
        search_seed: the seed in the search file.
        names: for example the student's and the family's name.
    """
    text = "\0".join([str(search_seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
