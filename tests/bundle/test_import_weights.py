"""Weights of the original code become the model of a bundle, which then gives the original's pictures."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile
import torch

from rockmonai.__main__ import main
from rockmonai.errors import ModelError, OutputError
from tests.bundles.runs import BUNDLES, workflow
from tests.networks.test_original_weights import resnet, trained

SIZES = {"network_def#width": 2, "network_def#blocks": 6}
FLAGS = [f"--{key}={value}" for key, value in SIZES.items()]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A network of the published layers, and the file that a training of it on two GPUs would leave."""
    network, file = trained(resnet(6)), tmp_path_factory.mktemp("original") / "latest_net_G.pth"
    torch.save({f"module.{name}": values for name, values in network.state_dict().items()}, file)
    return network, str(file)


def test_a_prediction_with_imported_weights_is_the_original_networks(original, tmp_path):
    network, file = original
    main(["import_weights", "feedforward", file, "--ckpt_dir", str(tmp_path / "models"), *FLAGS])
    assert (tmp_path / "models" / "model.pt.sha256").is_file()

    grey = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "txm.tif", grey)
    files = {"input_file": tmp_path / "txm.tif", "output_file": tmp_path / "sem.tif", "ckpt_dir": tmp_path / "models"}
    override = {key: str(value) for key, value in files.items()} | SIZES | {"device": "cpu", "num_workers": 0}
    workflow("feedforward", "inference", "infer", **override).run()

    with torch.no_grad():
        expected = network(torch.from_numpy(grey / 127.5 - 1).float()[None, None])[0, 0].numpy()
    assert expected.std() > 0.05
    np.testing.assert_allclose(tifffile.imread(tmp_path / "sem.tif"), (expected + 1) * 127.5, atol=0.51)


def test_overlays_build_the_network_and_what_was_taken_is_told(original, tmp_path, capsys, caplog):
    shutil.copytree(BUNDLES / "feedforward" / "configs", tmp_path / "mine" / "configs")
    own = {"network_def": {"_target_": "rockmonai.networks.ResNetGenerator", "width": 2, "blocks": 6}}
    (tmp_path / "own.json").write_text(json.dumps(own))
    with caplog.at_level("INFO", "rockmonai"):
        main(["import_weights", str(tmp_path / "mine"), original[1], "--config", str(tmp_path / "own.json")])
    parameters = sum(values.numel() for values in original[0].parameters())
    tensors = [name for name in original[0].state_dict() if "num_batches" not in name]
    model = tmp_path / "mine" / "models" / "model.pt"
    assert f"{len(tensors)} tensors, {parameters} parameters taken; wrote {model}" in caplog.text


def test_a_model_that_is_there_is_kept_unless_it_may_be_replaced(original, tmp_path):
    (tmp_path / "model.pt").write_text("mine")
    words = ["import_weights", "feedforward", original[1], "--ckpt_dir", str(tmp_path), *FLAGS]
    for kept in ([], ["--overwrite", "false"]):
        with pytest.raises(OutputError, match=r"model\.pt exists"):
            main([*words, *kept])
        assert (tmp_path / "model.pt").read_text() == "mine"
    main([*words, "--overwrite"])
    assert len(torch.load(tmp_path / "model.pt", weights_only=True)) > 10


@pytest.mark.parametrize(
    ("file", "flags", "sentence"),
    [
        ("nowhere.pth", FLAGS, r"no file nowhere\.pth; give the weights that the original code has saved"),
        (None, [FLAGS[0], "--network_def#blocks=9"], "weights belong to another network: they have"),
        (__file__, FLAGS, "cannot be read as a checkpoint"),
    ],
    ids=["no file", "another network", "no weights"],
)
def test_what_cannot_be_imported_is_told_and_leaves_nothing(original, tmp_path, file, flags, sentence):
    with pytest.raises(ModelError, match=sentence):
        main(["import_weights", "feedforward", file or original[1], "--ckpt_dir", str(tmp_path / "models"), *flags])
    assert not (tmp_path / "models").exists()
