"""A bundle is found by its folder or its name, a config among those of its bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from rockmonai.configs import find_bundle, find_configs
from rockmonai.errors import UsageError
from tests.bundles.runs import BUNDLES


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROCKMONAI_BUNDLES", raising=False)
    return tmp_path


def make_bundle(folder: Path) -> Path:
    (folder / "configs").mkdir(parents=True)
    for name in ("inference", "paper"):
        (folder / "configs" / f"{name}.json").write_text("{}")
    return folder


def test_a_folder_is_itself_from_anywhere(here):
    assert find_bundle(str(make_bundle(here / "far" / "mine"))) == here / "far" / "mine"


def test_a_name_is_looked_for_here_then_in_the_variable_then_in_the_checkout(here, monkeypatch):
    assert find_bundle("srgan").samefile(BUNDLES / "srgan")
    shelf = make_bundle(here / "shelf" / "srgan")
    monkeypatch.setenv("ROCKMONAI_BUNDLES", str(here / "shelf"))
    assert find_bundle("srgan").samefile(shelf)
    nearer = make_bundle(here / "bundles" / "srgan")
    assert find_bundle("srgan").samefile(nearer)


def test_a_folder_of_that_name_without_a_config_does_not_hide_the_bundle(here):
    (here / "srgan").mkdir()
    assert find_bundle("srgan").samefile(BUNDLES / "srgan")


@pytest.mark.parametrize("name", ["srgn", "bundles/srgn"])
def test_an_unknown_bundle_is_told_with_those_that_are_there(here, monkeypatch, name):
    make_bundle(here / "shelf" / "mine")
    monkeypatch.setenv("ROCKMONAI_BUNDLES", str(here / "shelf"))
    with pytest.raises(UsageError, match=rf"'{name}' \(did you mean 'srgan'\?\); found: .*mine, .*srgan"):
        find_bundle(name)


def test_overlays_follow_the_inference_config_and_this_folder_comes_first(here):
    bundle = make_bundle(here / "mine")
    configs = bundle / "configs"
    assert find_configs(bundle) == [configs / "inference.json"]
    (here / "own.json").write_text("{}")
    assert find_configs(bundle, "paper.json,own.json") == [
        configs / "inference.json",
        configs / "paper.json",
        Path("own.json"),
    ]
    (here / "paper.json").write_text("{}")
    assert find_configs(bundle, "paper.json")[1] == Path("paper.json")


def test_an_unknown_overlay_is_told_with_the_nearest(here):
    with pytest.raises(UsageError, match=r"papr\.json \(did you mean 'paper\.json'\?\)"):
        find_configs(make_bundle(here / "mine"), "papr.json")
