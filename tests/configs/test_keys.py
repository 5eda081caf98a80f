"""Which keys of a config are read."""

from __future__ import annotations

import pytest

from rockmonai.configs import check_keys, keys_of, read_config
from rockmonai.errors import UsageError

CONFIG = {"scale": 4, "train": {"lr": 0.1, "data": {"_target_": "Dataset", "x": 1}}, "roi": [8, 8], "empty": {}}


def test_ids_end_at_values_lists_and_components():
    assert keys_of([CONFIG, {"scale": 2, "more": None}]) == {"scale", "train#lr", "train#data", "roi", "empty", "more"}


@pytest.mark.parametrize("key", ["scale", "train", "train#lr", "train#data#y", "roi#0", "_meta_#version"])
def test_a_key_is_right_with_all_that_it_holds_and_all_that_hold_it(key):
    check_keys([key], keys_of([CONFIG]))


@pytest.mark.parametrize(
    ("key", "near"), [("scael", "scale"), ("train#lrr", "train#lr"), ("traim#data#x", "train#data")]
)
def test_another_key_is_refused_with_the_nearest(key, near):
    with pytest.raises(UsageError, match=rf"no key '{key}' \(did you mean '{near}'\?\)"):
        check_keys(["scale", key], keys_of([CONFIG]))


@pytest.mark.parametrize(
    ("text", "sentence"), [('{"scale": 2,}', r"JSON \(.*line 1 column"), ("[1]", "must be one JSON object")]
)
def test_a_file_that_is_no_config_is_told_by_name(tmp_path, text, sentence):
    (tmp_path / "own.json").write_text(text)
    with pytest.raises(UsageError, match=rf"own\.json .*{sentence}"):
        read_config(tmp_path / "own.json")
