"""Refuses a config whose words nobody would read: a misspelt override must not run a training with the default."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from pydoc import locate
from typing import Any

from monai.bundle import ConfigComponent, ReferenceResolver
from monai.bundle.utils import ID_SEP_KEY, MACRO_KEY

from rockmonai.configs import ENTRY_POINTS, check_keys, keys_of, leaves, read_config
from rockmonai.errors import UsageError, did_you_mean

MARKS = {"_target_", "_disabled_", "_requires_", "_desc_", "_mode_"}


def check_config(
    config: Mapping[str, Any], entry_points: Iterable[str] = ENTRY_POINTS, known: Iterable[str] = ()
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
    check_keys((key for key, _ in leaves(config)), {*entry_points, *known} | _references(config))
    for key, component in _components(config):
        _check_arguments(key, component)


def keys_of_files(folder: Path, config: Mapping[str, Any]) -> set[str]:
    """Return the keys that the config files of ``folder`` gave to a merged ``config``.

    MONAI does not tell which files it merged, but merging adds keys and removes none: they are the files whose keys
    are all there.
    """
    files = []
    for path in folder.glob("*.json"):
        with suppress(UsageError):  # a stray file that is no config gave nothing
            files.append(read_config(path))
    return keys_of(content for content in files if content.keys() <= config.keys())


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


def _components(config: Any, key: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(config, Mapping) and isinstance(config.get("_target_"), str):
        yield key, config
    items = config.items() if isinstance(config, Mapping) else enumerate(config) if isinstance(config, list) else ()
    for name, value in items:
        yield from _components(value, f"{key}#{name}" if key else str(name))


def _references(config: Any) -> set[str]:
    if isinstance(config, str):
        if config.startswith(MACRO_KEY):  # a copy of another key's content reads that key
            return {config.removeprefix(MACRO_KEY).replace(ID_SEP_KEY, "#")}
        return {ref.replace(ID_SEP_KEY, "#") for ref in ReferenceResolver.match_refs_pattern(config)}
    values = config.values() if isinstance(config, Mapping) else config if isinstance(config, (list, tuple)) else ()
    return set().union(*(_references(value) for value in values))
