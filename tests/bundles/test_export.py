"""What a bundle says about its network is measured, written into its metadata, and compared when it is applied."""

from __future__ import annotations

import json
import logging
import shutil

import pytest
import torch

from rockmonai.bundle.export import check_described, export
from rockmonai.errors import ModelError
from rockmonai.inferers import Footprint
from rockmonai.networks import SRResNet
from tests.bundles.runs import BUNDLES, tiny_network

SEEN = Footprint(reach=(5, 5), stride=(1, 1), scale=(2, 2), smallest=(2, 2), channels=1)


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(BUNDLES / "srgan", tmp_path / "srgan", ignore=shutil.ignore_patterns("models"))


def test_export_measures_the_network_and_changes_one_line_of_the_metadata(bundle):
    options = {
        "norm": None,
        "upsampling": "direct",
        "residual": True,
        "final": None,
        "head_kernel": 3,
        "tail_kernel": 3,
    }
    network = SRResNet(2, width=4, blocks=1, scale=2, **options)
    (bundle / "models").mkdir()
    torch.save(network.state_dict(), bundle / "models" / "model.pt")
    metadata = bundle / "configs" / "metadata.json"
    before = metadata.read_text().splitlines()

    script = export(bundle, **tiny_network())

    # Head, two convolutions of the block, one after it, tail: five of radius 1. Bicubic interpolation reaches 2.
    assert json.loads(metadata.read_text())["footprint"]["reach"] == [5, 5]
    changed = [line for line, old in zip(metadata.read_text().splitlines(), before, strict=True) if line != old]
    assert len(changed) == 1 and '"footprint"' in changed[0]
    image = torch.rand(1, 1, 9, 11)
    torch.testing.assert_close(torch.jit.load(script)(image), network.eval()(image))


def test_export_without_weights_is_refused(bundle):
    with pytest.raises(ModelError, match=r"no weights .* train the bundle first"):
        export(bundle, **tiny_network())


def test_metadata_of_another_network_is_told(bundle, caplog):
    with caplog.at_level(logging.WARNING, "rockmonai"):
        check_described(bundle / "configs" / "metadata.json", SEEN)
    assert "describes a network of reach [19, 19]" in caplog.text and "this one has [5, 5]" in caplog.text


@pytest.mark.parametrize("reach", [(19, 19), (5, 5, 5)], ids=["the same", "of other dimensions"])
def test_metadata_that_fits_or_cannot_be_compared_is_silent(reach, bundle, caplog):
    dims = len(reach)
    seen = Footprint(reach, (1,) * dims, (4,) * dims, (2,) * dims, 1)
    with caplog.at_level(logging.WARNING, "rockmonai"):
        check_described(bundle / "configs" / "metadata.json", seen)
    assert not caplog.text
