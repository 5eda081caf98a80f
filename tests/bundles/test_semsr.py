"""What guides the super-resolution: maps, thresholds that the data suggest, other networks, depth; and its figures."""

from __future__ import annotations

import csv
import json
import re
import shutil

import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.filters import threshold_multiotsu, threshold_otsu

from rockmonai.data import sample_rock
from rockmonai.errors import DataError, find_rock_error
from rockmonai.handlers import write_checkpoint
from rockmonai.networks import Thresholds, UNet
from rockmonai.volumes import open_volume
from tests.bundles.runs import (
    config_of,
    predict,
    tiny,
    tiny_evaluation,
    workflow,
    write_model,
    write_small_set,
)
from tests.bundles.test_inference import assert_same_greys, whole
from tests.conftest import PROJECT

BUNDLE = "semsr"
PAIR = {"image": "label", "label": "label"}
SHORT = {"epochs": 1, "epoch_length": 2, "warmup_epochs": 0}


@pytest.fixture
def rocks(tmp_path):
    return write_small_set(tmp_path / "set", BUNDLE)


@pytest.fixture
def rocks_without_maps(rocks):
    for folder in rocks.glob("*/semantic"):
        shutil.rmtree(folder)
    return rocks


def trained(dataset, output, *overlays, **override):
    """Train the tiny network of the first overlay for two iterations, and return the workflow."""
    files = {"dataset_dir": str(dataset), "output_dir": str(output)}
    flow = workflow(BUNDLE, ["train", *overlays], "train", **tiny(BUNDLE, overlays[0]) | SHORT | files | override)
    flow.run()
    return flow


def evaluated(dataset, run, output, *overlays, bundle=BUNDLE, **override):
    """Evaluate the network in ``run``, and return the rows of the scores by name."""
    files = {"dataset_dir": str(dataset), "ckpt_dir": str(run), "output_dir": str(output)}
    small = tiny_evaluation(bundle, *overlays[:1] if bundle == BUNDLE else ())
    workflow(bundle, ["evaluate", *overlays], "infer", **small | files | override).run()
    return {row.pop("name"): row for row in csv.DictReader((output / "scores.csv").open())}


def guided(overlay):
    """Return the overrides that make an overlay's network tiny and of scale 2, with its whole definition."""
    definition = config_of(BUNDLE, "inference", overlay)["network_def"]
    definition.get("generator", definition)["width"] = 4
    return {"network_def": definition, "scale": 2, "device": "cpu"}


def write_guided(folder, overlay):
    """Write the model.pt of an overlay's tiny network, whose images have contrast, and return the network."""
    thresholds = [-0.4, 0.1, 0.6]
    known = {"network_def#segmentation#thresholds": thresholds} if overlay == "self_guided" else {}
    network = write_model(folder, BUNDLE, **guided(overlay), **known)
    if overlay == "self_guided":
        network.segmentation.load_state_dict(Thresholds(4, thresholds).state_dict())
    for values in getattr(network, "generator", network).tail.parameters():
        values.data *= 4
    write_checkpoint(network.state_dict(), folder / "model.pt")
    return network


def weights_of(run, part):
    model = torch.load(run / "model.pt", weights_only=True)
    return {key.removeprefix(f"{part}."): value for key, value in model.items() if key.startswith(f"{part}.")}


def test_thresholds_that_the_patches_suggest_are_trained_with_and_kept(rocks, tmp_path):
    flow = trained(rocks, tmp_path / "run", "self_guided", "otsu")
    patches = flow.parser.get_parsed_content("train#dataset")
    greys = np.stack([patches[number]["image"] for number in range(16)])
    bias = weights_of(tmp_path / "run", "segmentation")["convolution.bias"]
    found = -np.diff(bias) / 100
    assert found == pytest.approx(threshold_multiotsu(greys, 4), abs=2 / 256)
    assert np.abs(found - [-0.5, 0, 0.5]).max() > 0.03, "they are not those without data"
    assert set(evaluated(rocks, tmp_path / "run", tmp_path / "scores", "self_guided")) == {"rock0", "rock1"}


def test_without_maps_another_degradation_will_do(rocks_without_maps, tmp_path):
    override = {"degradation": "scan", "folders": PAIR}
    trained(rocks_without_maps, tmp_path / "run", "self_guided", "otsu", **override)
    scores = evaluated(rocks_without_maps, tmp_path / "run", tmp_path / "scores", "self_guided", **override)
    assert float(scores["rock1"]["psnr"]) > 0
    with pytest.raises(Exception) as caught:
        trained(rocks_without_maps, tmp_path / "other", "self_guided", folders=PAIR)
    error = find_rock_error(caught.value)
    assert isinstance(error, DataError) and "add the map or choose another degradation" in str(error)


@pytest.mark.parametrize("block_size", [16, None])
def test_a_scan_alone_is_enough_and_its_blocks_are_those_of_a_whole_pass(tmp_path, block_size):
    network = write_guided(tmp_path, "self_guided")
    grey = np.random.default_rng(0).integers(0, 256, (71, 90), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", grey)
    config, override = ["inference", "self_guided"], {"block_size": block_size, **guided("self_guided")}
    predict(tmp_path / "scan.tif", tmp_path / "fine.ome.zarr", tmp_path, config, BUNDLE, **override)
    assert_same_greys(open_volume(tmp_path / "fine.ome.zarr").read()[0], whole(network, grey))


def test_a_trained_network_may_be_the_segmentation(rocks, tmp_path):
    unet = {"_target_": "rockmonai.networks.UNet", "out_channels": 4, "width": 2, "levels": 2}
    segmentation = UNet(out_channels=4, width=2, levels=2)
    write_checkpoint(segmentation.state_dict(), tmp_path / "unet.pt")
    definition = guided("self_guided")["network_def"]
    loaded = {"_target_": "rockmonai.bundle.trained", "network": unet, "path": str(tmp_path / "unet.pt")}
    trained(rocks, tmp_path / "run", "self_guided", network_def=definition | {"segmentation": loaded})
    kept = weights_of(tmp_path / "run", "segmentation")
    assert kept and all(torch.equal(kept[key], value) for key, value in segmentation.state_dict().items())

    # Its weights are in model.pt: to evaluate and to apply the network, the file of the segmentation is not needed.
    (tmp_path / "unet.pt").unlink()
    override = guided("self_guided") | {"network_def": definition | {"segmentation": unet}}
    evaluated(rocks, tmp_path / "run", tmp_path / "scores", "self_guided", **override)
    tifffile.imwrite(tmp_path / "scan.tif", np.arange(30 * 21, dtype=np.uint16).reshape(30, 21))
    config = ["inference", "self_guided"]
    predict(tmp_path / "scan.tif", tmp_path / "fine.tif", tmp_path / "run", config, BUNDLE, **override)
    assert tifffile.imread(tmp_path / "fine.tif").shape == (60, 42)


def test_depth_guides_beside_the_classes(tmp_path):
    rock, folders = sample_rock(2, 2), PAIR | {"semantic": "semantic", "depth": "txm"}
    trained(rock, tmp_path / "run", "depth", folders=folders)
    evaluated(rock, tmp_path / "run", tmp_path / "scores", "depth", folders=folders)

    network = write_guided(tmp_path, "depth")
    files, read = {"image": "input_file", "semantic": "semantic_file", "txm": "depth_file"}, {}
    for name, factor in zip(files, (1, 2, 2), strict=True):
        read[name] = tifffile.imread(f"{rock}/test/{name}/rock_000.tif")[: 40 * factor, : 50 * factor]
        tifffile.imwrite(tmp_path / f"{name}.tif", read[name])
    scale = {name: torch.from_numpy(read[name] / 127.5 - 1).float()[None, None] for name in ("image", "txm")}
    # Of each two voxels of the map, the one that holds the centre of the coarse one is the second, as for odd factors.
    classes = F.one_hot(torch.from_numpy(read["semantic"])[1::2, 1::2].long(), 4).permute(2, 0, 1)[None]
    with torch.no_grad():
        pred = network(torch.cat([scale["image"], 2.0 * classes - 1, F.avg_pool2d(scale["txm"], 2)], 1))[0, 0]
    expected = np.rint((pred.numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)

    override = {name: str(tmp_path / f"{key}.tif") for key, name in files.items() if key != "image"}
    config, override = ["inference", "depth"], {"block_size": 16, **override, **guided("depth")}
    predict(tmp_path / "image.tif", tmp_path / "fine.tif", tmp_path, config, BUNDLE, **override)
    assert_same_greys(tifffile.imread(tmp_path / "fine.tif"), expected)


def test_pores_of_the_bicubic_image_are_counted_by_the_threshold_of_the_label(rocks, tmp_path):
    write_model(tmp_path, BUNDLE)
    tifffile.imwrite(rocks / "test" / "label" / "rock1.tif", np.full((48, 48), 128, np.uint8))
    measured = {"image": "image", "label": "label", "semantic": "semantic"}
    scores = evaluated(rocks, tmp_path, tmp_path / "scores", folders=measured)
    image, label = (tifffile.imread(rocks / "test" / key / "rock0.tif") for key in ("image", "label"))
    enlarged = np.asarray(Image.fromarray(image.astype(np.float32)).resize((48, 48), Image.Resampling.BICUBIC))
    threshold = threshold_otsu(label)
    expected = (enlarged.clip(0, 255) <= threshold).mean() - (label <= threshold).mean()
    assert float(scores["rock0"]["porosity_error_bicubic"]) == pytest.approx(expected, abs=0.01)

    # A label without walls has no value, and neither stops the evaluation nor spoils a mean.
    figures = [name for name in scores["rock0"] if name.startswith(("porosity", "surface", "boundary", "two_point"))]
    assert len(figures) == 7 and not any(scores["rock1"][name] for name in figures)
    report = json.loads((tmp_path / "scores" / "scores.json").read_text())["metrics"]
    for name in figures:
        assert report[name]["mean"] == pytest.approx(float(scores["rock0"][name])) and report[name]["images"] == 1


def test_the_guide_to_the_figures_adds_them_to_another_bundle(small_set, tmp_path):
    (overlay,) = re.findall(r"```json\n(.*?)```", (PROJECT / "docs" / "interface.md").read_text(), re.S)
    (tmp_path / "interface.json").write_text(overlay)
    write_model(tmp_path)
    overlays = (str(tmp_path / "interface.json"),)
    scores = evaluated(small_set, tmp_path, tmp_path / "scores", *overlays, bundle="srgan")
    figures = config_of(BUNDLE, "evaluate")["other_metrics"]
    assert set(scores["rock0"]) >= {"psnr", *figures}
    own = config_of("srgan", "evaluate")["other_metrics"]
    added = json.loads(overlay)["+other_metrics"]
    assert {key: value for key, value in figures.items() if key not in own} == added
