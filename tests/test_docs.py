"""Every command in a bash block of the guides runs, in their order, on small data of the names that they use."""

from __future__ import annotations

import re
import shlex
import shutil
from functools import partial

import numpy as np
import pytest
import tifffile
from fire.parser import DefaultParseValue, SeparateFlagArgs
from monai.bundle import run

from rockmonai.__main__ import main
from tests.bundles.runs import BUNDLES, tiny, tiny_inference, tiny_network, write_model
from tests.conftest import PROJECT

GUIDES = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md"), *BUNDLES.glob("*/docs/README.md")]


def commands(text: str) -> list[list[str]]:
    made = re.findall(r"make train .*then: (python .*)", text)
    blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
    return [shlex.split(line) for line in [*made, *"\n".join(blocks).splitlines()] if line]


def arguments(words: list[str]) -> dict:
    assert words[:4] == ["python", "-m", "monai.bundle", "run"], words
    flags, _ = SeparateFlagArgs(words[4:])
    return {
        name.removeprefix("--"): DefaultParseValue(value) for name, value in zip(flags[::2], flags[1::2], strict=True)
    }


def rock(*shape):
    return np.random.default_rng(len(shape)).integers(1, 255, shape, dtype=np.uint8)


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """A folder with a copy of the bundles and all data that the guides name; the process works there."""
    shutil.copytree(BUNDLES, tmp_path / "bundles", ignore=shutil.ignore_patterns("models", "evaluation", "predictions"))
    for split in ("train", "validation", "test"):
        for folder, size in (("pairs", 24), ("shale", 24)):
            names = ("image/rock1", "label/rock1") if folder == "pairs" else ("txm/TXM001", "sem/SEM001")
            for name, factor in zip(names, (1, 2), strict=True):
                path = tmp_path / folder / split / f"{name}.tif"
                path.parent.mkdir(parents=True)
                tifffile.imwrite(path, rock(size * factor, size * factor))
        for key, levels in (("images", 255), ("labels", 4)):
            (tmp_path / "shale" / split / key).mkdir()
            for number in (1, 2):
                tifffile.imwrite(tmp_path / "shale" / split / key / f"{number}.tif", rock(104, 48) % levels)
    for split in ("train", "valid", "test"):
        for folder, size in ((f"coal2D_{split}_LR_unknown_X4/0001x4", 24), (f"coal2D_{split}_HR/0001", 96)):
            path = tmp_path / "DeepRockSR-2D" / "coal2D" / f"{folder}.tif"
            path.parent.mkdir(parents=True)
            tifffile.imwrite(path, rock(size, size))
    (tmp_path / "rocks").mkdir()
    for number in range(4):
        tifffile.imwrite(tmp_path / "rocks" / f"rock{number}.tif", rock(64, 64))
    tifffile.imwrite(tmp_path / "volume.tif", rock(256, 40, 40), photometric="minisblack")
    for name in ("scan", "sem", "txm", "charge"):
        tifffile.imwrite(tmp_path / f"{name}.tif", rock(24, 24))
    tifffile.imwrite(tmp_path / "semantic.tif", rock(24, 24) % 4)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("monai.bundle.run", partial(run, logging_file=False))
    return tmp_path


def sizes_of(bundle, config="inference"):
    """Return overrides that make the networks of a bundle small, and its training short."""
    make = {"train": tiny, "inference": tiny_inference}.get(config, tiny_network)
    small = make(bundle) | ({"epoch_length": 1} if config == "train" else {})
    return {key: value for key, value in small.items() if key != "scale"}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_command_runs(guide, somewhere):
    asked = commands(guide.read_text())
    if not any("train.json" in word for words in asked for word in words):  # it is about a network that was trained
        write_model(somewhere / "bundles" / "srgan" / "models", scale=4)
    for words in asked:
        if words[:2] == ["rockmonai", "predict"]:
            small = sizes_of(words[2])
            main([*words[1:], *(f"--{key}={value}" for key, value in small.items())])
            assert (somewhere / words[4]).exists(), words
            continue
        if words[:2] == ["rockmonai", "report"]:
            main(words[1:])
            assert (somewhere / words[2] / "box_plots.png").exists(), words
            continue
        given = arguments(words)
        first = given["config_file"] if isinstance(given["config_file"], str) else given["config_file"][0]
        bundle = re.search(r"bundles/(\w+)/", first)[1]
        config = first.split("/")[-1].removesuffix(".json")
        small = sizes_of(bundle, config)
        run(logging_file=False, **{**small, **given, "device": "cpu"} | ({"epochs": 2} if "epochs" in given else {}))
        left = {"train": "models", "evaluate": "evaluation"}.get(config)
        promised = given.get("output_file") or given.get("output_dir") or f"bundles/{bundle}/{left}"
        assert (somewhere / promised).exists(), words


def test_python_of_the_readme_runs(somewhere):
    for block in re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.S):
        exec(block, {})
    assert (somewhere / "copy.ome.zarr").is_dir()


def test_links_of_the_guides_lead_somewhere():
    for guide in GUIDES:
        for target in re.findall(r"\]\(([^)#]+)\)", guide.read_text()):
            assert target.startswith("http") or (guide.parent / target).exists(), f"{guide}: {target}"
