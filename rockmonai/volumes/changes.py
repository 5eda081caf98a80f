"""What differs between two nested configs, in a few words for a message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def changes(before: Mapping[str, Any], now: Mapping[str, Any], at_most: int = 4) -> str:
    """Return ``"lr 0.1 -> 0.2; roi#0 64 -> 96 and 3 more"``, or an empty string where nothing differs.

    Args:
        before: nested values as JSON holds them.
        now: the same, later.
        at_most: how many changes to spell out.
    """
    old, new = dict(_values(before)), dict(_values(now))
    changed = [
        f"{key} {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
    more = f" and {len(changed) - at_most} more" if len(changed) > at_most else ""
    return "; ".join(changed[:at_most]) + more


def _values(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a nested config with its id, lists included."""
    items = config.items() if isinstance(config, Mapping) else enumerate(config) if isinstance(config, list) else None
    if items is None:
        yield key, config
        return
    for name, value in items:
        yield from _values(value, f"{key}#{name}" if key else str(name))
