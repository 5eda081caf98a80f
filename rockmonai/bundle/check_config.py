"""Refuses a config whose words nobody would read: a misspelt override must not run a training with the default."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from pydoc import locate
from typing import Any

from monai.bundle import ConfigComponent, ReferenceResolver
from monai.bundle.utils import ID_SEP_KEY

from rockmonai.errors import UsageError, did_you_mean

MARKS = {"_target_", "_disabled_", "_requires_", "_desc_", "_mode_"}


def check_config(
    config: Mapping[str, Any],
    entry_points: Iterable[str] = ("initialize", "run", "finalize"),
    known: Iterable[str] = (),
) -> None:
    """Check that every key of ``config`` is used and every argument is one that its component takes.

    A key counts as used if the config refers to it, if it belongs to a component that is built, or if it is run.

    Args:
        config: a merged MONAI bundle config, overrides included.
        entry_points: ids that are run.
        known: keys that are right even if an override has left them without a reader (see :func:`keys_of_files`).

    Raises:
        UsageError: at the first unknown key or argument, with the nearest known one.
    """
    used = {*entry_points, *known} | _references(config)
    keys = [key for key, _ in _leaves(config)]
    right = [key for key in keys if _is_used(key, used)]
    for key in keys:
        if key not in right:
            raise UsageError(f"The config has no key '{key}'{did_you_mean(key, right)}; nothing would read it.")
    for key, component in _components(config):
        _check_arguments(key, component)


def keys_of_files(folder: Path, config: Mapping[str, Any]) -> set[str]:
    """Return the keys that the config files of ``folder`` gave to a merged ``config``.

    MONAI does not tell which files it merged, but merging adds keys and removes none: they are the files whose keys
    are all there.
    """
    files = [_read(path) for path in folder.glob("*.json")]
    return {key for content in files if content.keys() <= config.keys() for key, _ in _leaves(content)}


def _read(path: Path) -> dict[str, Any]:
    """Return the config in a file, or nothing if the file is no config."""
    try:
        content = json.loads(path.read_text())
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _check_arguments(key: str, component: Mapping[str, Any]) -> None:
    target = locate(ConfigComponent(config=dict(component), id=key).resolve_module_name())
    if target is None:
        raise UsageError(f"'{key}' names {component['_target_']}, which does not exist.")
    try:
        parameters = inspect.signature(target).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return  # some built-in functions have no signature to ask for
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for argument in component:
        if argument not in parameters and argument not in MARKS:
            raise UsageError(
                f"'{key}#{argument}' is no argument of {component['_target_']}{did_you_mean(argument, parameters)}."
            )


def _is_used(key: str, used: set[str]) -> bool:
    parts = key.split("#")
    ancestors = {"#".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return key.startswith("_meta_") or not ancestors.isdisjoint(used) or any(u.startswith(f"{key}#") for u in used)


def _leaves(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what the plain dictionaries of a config hold: values, lists and components, each with its id."""
    if isinstance(config, Mapping) and "_target_" not in config and config:
        for name, value in config.items():
            yield from _leaves(value, f"{key}#{name}" if key else str(name))
    else:
        yield key, config


def _components(config: Any, key: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(config, Mapping) and isinstance(config.get("_target_"), str):
        yield key, config
    items = config.items() if isinstance(config, Mapping) else enumerate(config) if isinstance(config, list) else ()
    for name, value in items:
        yield from _components(value, f"{key}#{name}" if key else str(name))


def _references(config: Any) -> set[str]:
    if isinstance(config, str):
        return {ref.replace(ID_SEP_KEY, "#") for ref in ReferenceResolver.match_refs_pattern(config)}
    values = config.values() if isinstance(config, Mapping) else config if isinstance(config, (list, tuple)) else ()
    return set().union(*(_references(value) for value in values))
