"""Damages files at random: their bytes, or the values in them."""

import copy

STRANGE = [
    None, True, False, 0, -1, 10**30, -(10**400), 1e308, float("nan"), float("inf"), 1e-320, "", "λ", "\ud800", "../..",
    "x" * 10_000, "1e999", "\x00", "auto", [], {}, [[]], [None], {"": None}, {"a": {"b": 1}}, [1] * 1000,
]  # fmt: skip
_NAMES = ["x", "", "λ", "__class__", "family", "parameters"]


def with_strange_values(values, random):
    """Return a copy of a tree of dicts and lists in which one to three values are replaced, removed or renamed."""
    values = copy.deepcopy(values)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = [place for place in _places(values) if place]
        if not places:
            return random.choice(STRANGE)
        *way, key = random.choice(places)
        holder = values
        for part in way:
            holder = holder[part]
        change = random.random()
        if change < 0.65:
            holder[key] = copy.deepcopy(random.choice(STRANGE))
        elif change < 0.8:
            del holder[key]
        elif change < 0.9 and isinstance(holder, dict):
            holder[random.choice([*_NAMES, f"{key}_"])] = holder.pop(key)
        else:
            holder[key] = [[holder[key]]]
    return values


def with_strange_bytes(content, random):
    """Return bytes of which some are replaced, removed, repeated or inserted, or of which the end is missing."""
    content = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        if not content:
            break
        change, place = random.random(), random.randrange(len(content))
        if change < 0.4:
            content[place] = random.randrange(256)
        elif change < 0.55:
            del content[place : place + random.randrange(1, 20)]
        elif change < 0.7:
            content[place:place] = random.randbytes(random.randrange(1, 8))
        elif change < 0.8:
            content[place:place] = content[max(0, place - random.randrange(1, 30)) : place]
        elif change < 0.9:
            del content[place:]
        else:
            content[place] = random.choice(b"\"'{}[],:=\n0-e.\\#")
    return bytes(content)


def _places(values, way=()):
    yield way
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in pairs:
        yield from _places(value, (*way, key))
