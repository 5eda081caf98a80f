"""The keys of a config: which there are, and a refusal of those that nobody would read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from rockmonai.errors import UsageError, did_you_mean

ENTRY_POINTS = ("initialize", "run", "finalize")


def read_config(path: Path) -> dict[str, Any]:
    """Return the config in a JSON file.

    Raises:
        UsageError: if the file cannot be read or is no config.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as JSON ({error}); mend it there.") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is no config; it must be one JSON object, {{...}}.")
    return content


def leaves(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what the plain dictionaries of a config hold: values, lists and components, each with its id."""
    if isinstance(config, Mapping) and "_target_" not in config and config:
        for name, value in config.items():
            yield from leaves(value, f"{key}#{name}" if key else str(name))
    else:
        yield key, config


def keys_of(configs: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the ids of all that the configs hold."""
    return {key for config in configs for key, _ in leaves(config)}


def check_keys(keys: Iterable[str], used: Set[str]) -> None:
    """Check that something reads every one of ``keys``.

    Args:
        keys: ids of a config or of overrides.
        used: ids that are read; with one, all that it holds and all that hold it are read.

    Raises:
        UsageError: at the first key that nothing reads, with the nearest one that is read.
    """
    keys = list(keys)
    right = [key for key in keys if _is_used(key, used)]
    for key in keys:
        if key not in right:
            near = did_you_mean(key, [*right, *sorted(used)])
            raise UsageError(f"The config has no key '{key}'{near}; nothing would read it.")


def _is_used(key: str, used: Set[str]) -> bool:
    parts = key.split("#")
    ancestors = {"#".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return key.startswith("_meta_") or not ancestors.isdisjoint(used) or any(u.startswith(f"{key}#") for u in used)
