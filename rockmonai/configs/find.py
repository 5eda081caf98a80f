"""Where a bundle and its config files lie, from the names that a user typed."""

from __future__ import annotations

import os
from pathlib import Path

from rockmonai.errors import UsageError, did_you_mean

CHECKOUT = Path(__file__).parents[2] / "bundles"


def find_bundle(name: str) -> Path:
    """Return the folder of a bundle: the folder ``name`` itself, or the bundle of that name.

    A name is looked for in ``bundles`` below the working directory, in the folder that the environment variable
    ``ROCKMONAI_BUNDLES`` names, and in the checkout that this package is part of.

    Raises:
        UsageError: if none of them holds ``configs/inference.json``.
    """
    shelves = [Path("bundles"), CHECKOUT]
    if "ROCKMONAI_BUNDLES" in os.environ:
        shelves.insert(1, Path(os.environ["ROCKMONAI_BUNDLES"]))
    for folder in (Path(name), *(shelf / name for shelf in shelves)):
        if (folder / "configs" / "inference.json").is_file():
            return folder
    found = sorted({path.parents[1].name for shelf in shelves for path in shelf.glob("*/configs/inference.json")})
    raise UsageError(
        f"There is no bundle '{name}'{did_you_mean(Path(name).name, found)}; found: {', '.join(found) or 'none'}; "
        "pass one of these, or a folder that holds configs/inference.json."
    )


def find_configs(bundle: Path, overlays: str = "") -> list[Path]:
    """Return the ``inference.json`` of a bundle and the config files that are merged over it, in that order.

    Args:
        bundle: folder of the bundle.
        overlays: names with commas between them, looked for in the working directory, then among the bundle's configs.

    Raises:
        UsageError: if one of them is not there.
    """
    configs = bundle / "configs"
    files = [configs / "inference.json"]
    for name in filter(None, overlays.split(",")):
        there = [path for path in (Path(name), configs / name) if path.is_file()]
        if not there:
            known = sorted(path.name for path in configs.glob("*.json"))
            raise UsageError(
                f"There is no config {name}{did_you_mean(name, known)}, neither here nor in {configs}, "
                f"which holds {', '.join(known)}."
            )
        files.append(there[0])
    return files
