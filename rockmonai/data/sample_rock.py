"""The sample rock: a seeded data set on disk, made on first use, so that every bundle runs offline."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from rockmonai.data.synthetic import sandstone, shale
from rockmonai.data.synthetic_scan import degrade, electron_microscope, noisy, xray_microscope
from rockmonai.errors import OutputError, UsageError

# Part of every folder's name: raise it whenever the same seed gives other pixels.
_VERSION = 1
SPACING = 2.0
_SPLITS = {2: {"train": (8, 384), "validation": (2, 384), "test": (2, 384)}}
_SPLITS[3] = {"train": (2, 128), "validation": (1, 96), "test": (1, 96)}
_GRAIN_SIZE = {2: 40.0, 3: 32.0}
_FAST = {"blur": 1.0, "sigma": 0.1}
_SHALE_SPACING = 0.01
_SHALE_SHAPE = {2: (384, 512), 3: (80, 80, 80)}
_SHALE_SPLITS = {2: {"train": 4, "test": 2}, 3: {"train": 3, "test": 1}}


def sample_rock(
    spatial_dims: int = 2, scale: int = 4, seed: int = 0, directory: str | None = None, fast: bool = False
) -> str:
    """Return the folder of a synthetic sandstone's data set, which is made if it is not there yet.

    The folder holds ``{train,validation,test}/<modality>/rock_000.tif``, one name in every modality: ``image`` (low
    resolution, size over ``scale``), ``label`` (high resolution), ``semantic`` (0 pore, 1 grain, 2 clay, 3 bright
    mineral), ``txm``, ``sem``, and the 0/1 masks ``charge`` (1 = bad pixel of ``sem``), ``lowdensity`` (pores) and
    ``highdensity`` (bright minerals). All are uint8; a pixel of the label is 2 µm wide.
    2D: 8 + 2 + 2 images of 384². 3D: 2 + 1 + 1 volumes of 128³, 96³ and 96³. A size that ``scale`` does not divide
    is cut to the next lower multiple.

    Args:
        spatial_dims: 2 or 3.
        scale: label pixels along one side of an image pixel, 1 to 16.
        seed: another seed gives another rock.
        directory: where sample data sets are kept; default ``$ROCKMONAI_CACHE``, else ``~/.cache/rockmonai``.
        fast: the images are those of a fast scan, with twice the blur and five times the noise.

    Raises:
        UsageError: ``spatial_dims``, ``scale`` or ``seed`` is out of range.
        OutputError: the folder cannot be written.
    """
    _check_dims("the sample rock", spatial_dims)
    if not isinstance(scale, int) or not 1 <= scale <= 16:
        raise UsageError(f"the sample rock needs a whole scale from 1 to 16, not {scale}: set scale to 2 or 4")

    def fill(folder: Path) -> None:
        for split_index, (split, (count, size)) in enumerate(_SPLITS[spatial_dims].items()):
            for index in range(count):
                shape = (size // scale * scale,) * spatial_dims
                images = _scan(shape, scale, (seed, split_index, index), fast)
                for modality, pixels in images.items():
                    width = SPACING * shape[-1] / pixels.shape[-1]
                    _write(folder / split / modality / f"rock_{index:03d}.tif", pixels, width)

    title = f"the sample rock ({spatial_dims}D, x{scale}{', scanned fast' if fast else ''})"
    kind = f"sample_rock-v{_VERSION}-{spatial_dims}d-x{scale}{'-fast' if fast else ''}"
    return _make_once(kind, title, seed, fill, directory)


def sample_shale(spatial_dims: int = 2, seed: int = 0, directory: str | None = None) -> str:
    """Return the folder of a synthetic shale's segmentation data set, which is made if it is not there yet.

    The folder holds ``{train,test}/{images,labels}/N.tif``, uint8, a voxel is 10 nm wide; a label is a class index:
    0 mineral, 1 organic matter, 2 pore, 3 clay. 2D: 4 + 2 images of 384 by 512. 3D: 3 + 1 volumes of 80³.

    Args:
        spatial_dims: 2 or 3.
        seed: another seed gives another shale.
        directory: where sample data sets are kept; default ``$ROCKMONAI_CACHE``, else ``~/.cache/rockmonai``.

    Raises:
        UsageError: ``spatial_dims`` or ``seed`` is out of range.
        OutputError: the folder cannot be written.
    """
    _check_dims("the sample shale", spatial_dims)

    def fill(folder: Path) -> None:
        for split_index, (split, count) in enumerate(_SHALE_SPLITS[spatial_dims].items()):
            for index in range(count):
                rock = shale(_SHALE_SHAPE[spatial_dims], (seed, split_index, index))
                name = f"{index + 1}.tif"
                _write(folder / split / "images" / name, _to_uint8(rock["grey"]), _SHALE_SPACING)
                _write(folder / split / "labels" / name, rock["semantic"], _SHALE_SPACING)

    title = f"the sample shale ({spatial_dims}D)"
    return _make_once(f"sample_shale-v{_VERSION}-{spatial_dims}d", title, seed, fill, directory)


def _check_dims(title: str, spatial_dims: int) -> None:
    if spatial_dims not in (2, 3):
        raise UsageError(f"{title} has 2 or 3 spatial dimensions, not {spatial_dims}: set spatial_dims to 2 or 3")


def _scan(shape: tuple[int, ...], scale: int, seed: tuple[int, ...], fast: bool) -> dict[str, NDArray[np.uint8]]:
    """Return one rock as every instrument sees it, keyed by modality."""
    rock = sandstone(shape, seed, _GRAIN_SIZE[len(shape)])
    grey, semantic = rock["grey"], rock["semantic"]
    rng = np.random.default_rng((*seed, 1))
    sem, charge = electron_microscope(grey, semantic, rng)
    return {
        "image": _to_uint8(degrade(grey, scale, rng, **(_FAST if fast else {}))),
        "label": _to_uint8(noisy(grey, rng)),
        "semantic": semantic,
        "txm": _to_uint8(xray_microscope(grey, rng)),
        "sem": _to_uint8(sem),
        "charge": charge.astype(np.uint8),
        "lowdensity": (semantic == 0).astype(np.uint8),
        "highdensity": (semantic == 3).astype(np.uint8),
    }


def _to_uint8(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(255 * grey).astype(np.uint8)


def _write(path: Path, pixels: NDArray[np.uint8], spacing: float) -> None:
    """Write a TIFF whose pixel width in micrometres ImageJ and most other programs read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"axes": "ZYX"[-pixels.ndim :], "unit": "um", "spacing": spacing}
    tifffile.imwrite(path, pixels, imagej=True, resolution=(1 / spacing, 1 / spacing), metadata=metadata)


def _make_once(kind: str, title: str, seed: int, fill: Callable[[Path], None], directory: str | None) -> str:
    """Return the folder of a data set, filled beside its place and then renamed: it is either complete or absent."""
    if not isinstance(seed, int) or seed < 0:
        raise UsageError(f"{title} needs a whole number as its seed, not {seed}: set seed to 0 or more")
    parent = Path(directory or os.environ.get("ROCKMONAI_CACHE") or "~/.cache/rockmonai").expanduser().absolute()
    target = parent / f"{kind}-seed{seed}"
    if target.is_dir():
        return str(target)
    unfinished = parent / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        unfinished.mkdir(parents=True)
        print(f"making {title} in {target}", flush=True)
        fill(unfinished)
        try:
            os.rename(unfinished, target)
        except OSError:
            # Another process has published the same rock meanwhile: its folder stands and this one goes.
            if not target.is_dir():
                raise
    except OSError as error:
        raise OutputError(
            f"{title} cannot be written to {parent} ({error.strerror or error}): "
            "set ROCKMONAI_CACHE to a folder that can be written"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return str(target)
