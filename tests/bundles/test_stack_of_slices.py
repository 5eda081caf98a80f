"""A stack of slices is translated slice by slice, in a region, and may come back as slices."""

from __future__ import annotations

from functools import partial

import monai.bundle
import numpy as np
import pytest
import tifffile
import torch
from monai.bundle import ConfigParser
from PIL import Image

from rockmonai.__main__ import main
from rockmonai.errors import find_rock_error
from rockmonai.handlers import write_checkpoint
from rockmonai.volumes import open_volume
from tests.bundles.runs import config_of, tiny_network, workflow
from tests.networks.test_original_weights import trained

REGION = [[2, 9], [4, 36], [10, 50]]
KIND = {"u1": ".png", "u2": ".png", "i2": ".tif"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with weights as after a training, and the folder of its model.pt."""
    parser, folder = ConfigParser(config_of("pix2pix", "inference")), tmp_path_factory.mktemp("model")
    parser.update(tiny_network("pix2pix"))
    network = trained(parser.get_parsed_content("network_def"))
    write_checkpoint(network.state_dict(), folder / "model.pt")
    return network, folder


def write_slices(folder, dtype):
    folder.mkdir()
    stack = np.random.default_rng(0).integers(0, 200, (12, 40, 56)).astype(dtype)
    for number, plane in enumerate(stack):
        tifffile.imwrite(folder / f"TXM{number}.tif", plane)  # TXM10 sorts before TXM2 as text
    return stack


@pytest.mark.parametrize("dtype", KIND)
def test_slices_of_a_region_become_slices_of_their_names(model, tmp_path, monkeypatch, dtype):
    network, folder = model
    stack = write_slices(tmp_path / "txm_full_stack", dtype)
    monkeypatch.setattr(monai.bundle, "run", partial(monai.bundle.run, logging_file=False))
    options = tiny_network("pix2pix") | {
        "ckpt_dir": folder,
        "slicewise": "z",
        "grey_range": "[0,255]",
        "num_workers": 0,
    }
    flags = [f"--{key}={value}" for key, value in options.items()]
    main(["predict", "pix2pix", f"{tmp_path}/txm_full_stack/", f"{tmp_path}/sem/", "--region", str(REGION), *flags])

    names = [f"TXM{number}{KIND[dtype]}" for number in range(2, 9)]
    assert {path.name for path in (tmp_path / "sem").iterdir()} == set(names)
    z, y, x = (slice(*bounds) for bounds in REGION)
    for name, plane in zip(names, stack[z, y, x], strict=True):
        file = tmp_path / "sem" / name
        found = np.asarray(Image.open(file)) if file.suffix == ".png" else tifffile.imread(file)
        with torch.no_grad():
            expected = network(torch.from_numpy(plane / 127.5 - 1).float()[None, None])[0, 0].numpy()
        levels = (expected + 1) * 127.5
        assert found.dtype == dtype and levels.std() > 1
        np.testing.assert_allclose(found, levels, atol=0.51)
    assert not list(tmp_path.glob("sem.partial"))


def test_slices_that_are_there_are_kept(model, tmp_path):
    write_slices(tmp_path / "txm", "u1")
    files = {"input_file": str(tmp_path / "txm"), "output_file": str(tmp_path / "sem"), "ckpt_dir": str(model[1])}
    options = tiny_network("pix2pix") | files | {"slicewise": "z", "num_workers": 0}
    (tmp_path / "sem").mkdir()
    (tmp_path / "sem" / "077.png").write_text("mine")
    with pytest.raises(Exception) as caught:
        workflow("pix2pix", "inference", "infer", **options).run()
    assert "sem exists: remove it" in str(find_rock_error(caught.value))
    workflow("pix2pix", "inference", "infer", **options, overwrite=True).run()
    assert open_volume(tmp_path / "sem").shape == (1, 12, 40, 56)
    assert not (tmp_path / "sem" / "077.png").exists()
