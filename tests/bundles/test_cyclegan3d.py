"""What the unpaired bundle promises: lists of HDF5 volumes, guards beside every result, no border, a true resume."""

from __future__ import annotations

import json
import shutil
from itertools import combinations

import h5py
import numpy as np
import pytest
import tifffile
import torch
from monai.bundle import ConfigParser
from monai.networks.layers import Conv

from rockmonai.errors import find_rock_error
from rockmonai.handlers import read_checkpoint, write_checkpoint
from rockmonai.volumes import open_volume
from tests.bundles.runs import (
    config_of,
    predict,
    tiny_inference,
    tiny_network,
    train,
    workflow,
    write_model,
    write_small_set,
)

BUNDLE = "cyclegan3d"
PAIR = ("image", "label")
VOLUME = {"spatial_dims": 3, "patch_size": 16}


def write_standardised(path, shape=(32, 20, 24), seed=0):
    """Write a smooth float volume of mean 0 and standard deviation 1 into the data set that published lists mean."""
    values = np.random.default_rng(seed).standard_normal(shape).cumsum(0).cumsum(1)
    with h5py.File(path, "w") as file:
        file["data"] = ((values - values.mean()) / values.std()).astype(np.float32)
    return path


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Two lists in the published form, of a fast scan and of a slow one."""
    folder = tmp_path_factory.mktemp("lists")
    for seed, name in enumerate(("fast", "slow")):
        write_standardised(folder / f"{name}.h5", seed=seed)
        entries = {"train": [{"path": f"{name}.h5", "ROI0": [2, -1]}], "validate": [{"path": f"{name}.h5"}]}
        (folder / f"{name}.json").write_text(json.dumps(entries))
    return folder


def train_on(lists, output, **override):
    scans = {"label_dir": str(lists / "slow.json"), "grey_range": [-3, 3], **VOLUME}
    return train(BUNDLE, lists / "fast.json", output, **scans, **override)


@pytest.fixture(scope="module")
def uninterrupted(lists, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    train_on(lists, run, train__trainer__pool_size=2, kickstart=0.5)
    return run


def test_published_lists_train(lists, uninterrupted):
    content = read_checkpoint(uninterrupted / "checkpoint_00000006.pt")
    for name, key in (("model.pt", "network"), ("model_reverse.pt", "reverse_network")):
        weights = read_checkpoint(uninterrupted / name)
        assert all(torch.equal(weights[layer], values) for layer, values in content[key].items())


def test_a_resumed_training_is_the_same_in_all_its_networks(lists, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    for late in [*run.glob("model*"), *run.glob("checkpoint_00000006*")]:
        late.unlink()
    train_on(lists, run, train__trainer__pool_size=2, kickstart=0.5, resume=True)
    ends, expected = (read_checkpoint(folder / "checkpoint_00000006.pt") for folder in (run, uninterrupted))
    for key in ("network", "reverse_network", "discriminators"):
        assert all(torch.equal(ends[key][layer], values) for layer, values in expected[key].items()), key
    assert (run / "metrics.csv").read_text() == (uninterrupted / "metrics.csv").read_text()
    assert (run / "model_reverse.pt").is_file()


def test_twice_as_fine_labels_train_without_identity_losses(tmp_path):
    for split in ("train", "validation"):
        for key, side in (("image", 24), ("label", 48)):
            (tmp_path / split / key).mkdir(parents=True)
            for number in range(2):
                grey = np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8)
                tifffile.imwrite(tmp_path / split / key / f"{number}.tif", grey)
    train(BUNDLE, tmp_path, tmp_path / "run", scale=2, patch_size=32, epochs=1)
    assert (tmp_path / "run" / "model.pt").is_file()


def test_volumes_of_any_greys_train_standardised(tmp_path):
    """Floating-point greys have no range of their own: each volume lends it."""
    for seed, name in enumerate(("fast", "slow")):
        greys = np.random.default_rng(seed).normal(4000 * seed, 300, (128, 20, 20)).astype(np.float32)
        tifffile.imwrite(tmp_path / f"{name}.tif", greys, photometric="minisblack")
    run = tmp_path / "run"
    flow = train(BUNDLE, tmp_path / "fast.tif", run, label_dir=str(tmp_path / "slow.tif"), standardise=True, **VOLUME)
    batch = next(iter(flow.parser.get_parsed_content("train#dataloader")))
    assert all(abs(batch[key].mean()) < 0.05 and abs(batch[key].std() - 1 / 3) < 0.02 for key in ("image", "label"))


def test_standardised_pairs_are_compared_as_such(tmp_path):
    greys = {key: np.random.default_rng(seed).uniform(0, 900 * (1 + seed), (48, 48)) for seed, key in enumerate(PAIR)}
    for key, values in greys.items():
        (tmp_path / "test" / key).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "test" / key / "rock.tif", values.astype(np.float32))
    write_model(tmp_path, BUNDLE)
    files = {"dataset_dir": str(tmp_path), "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "scores")}
    workflow(BUNDLE, "evaluate", "infer", **tiny_network(BUNDLE), **files, standardise=True).run()
    metrics = json.loads((tmp_path / "scores" / "scores.json").read_text())["metrics"]
    image, label = ((values - values.mean()) / values.std() / 3 for values in greys.values())
    assert metrics["psnr_input"]["mean"] == pytest.approx(10 * np.log10(4 / ((image - label) ** 2).mean()), abs=1e-3)


def test_a_standardised_scan_comes_back_in_its_own_greys(tmp_path):
    scan = np.random.default_rng(0).normal(3000, 200, (16, 16, 16)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "scan.tif", scan, photometric="minisblack")
    write_checkpoint({"weight": torch.full((1, 1, 1, 1, 1), 0.5), "bias": torch.zeros(1)}, tmp_path / "model.pt")
    override = {"network_def": WEIGHTED | {"spatial_dims": 3}, "device": "cpu", "standardise": True}
    predict(tmp_path / "scan.tif", tmp_path / "clean.tif", tmp_path, ["inference", "without_cycle"], BUNDLE, **override)
    expected = scan.mean() + 0.5 * (scan - scan.mean())
    np.testing.assert_allclose(tifffile.imread(tmp_path / "clean.tif"), expected, atol=0.51)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_whole_volume_is_predicted_as_in_one_pass(tmp_path, scale):
    """From HDF5 to HDF5, in blocks, up to the faces: nothing is left 0 and no block shows."""
    scan = write_standardised(tmp_path / "scan.h5")
    network = write_model(tmp_path, BUNDLE, spatial_dims=3, scale=scale)
    override = {"spatial_dims": 3, "scale": scale, "grey_range": [-3, 3], "block_size": 8}
    predict(scan, tmp_path / "clean.h5", tmp_path, bundle=BUNDLE, **override)
    with torch.no_grad():
        expected = 3 * network(torch.from_numpy(open_volume(scan).read())[None] / 3)[0]
    clean = open_volume(tmp_path / "clean.h5")
    assert clean.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(clean.read()), expected, atol=1e-4, rtol=0)


def weighted(spatial_dims=2):
    """Return a network that multiplies greys by a number."""
    return Conv[Conv.CONV, spatial_dims](1, 1, 1)


WEIGHTED = {"_target_": "tests.bundles.test_cyclegan3d.weighted"}


@pytest.mark.parametrize(("factor", "contrast", "blocks"), [(-0.5, "inverted", 4), (0.5, "kept", 0), (0, "unknown", 0)])
def test_guards_tell_an_inverted_contrast(tmp_path, factor, contrast, blocks):
    image = np.random.default_rng(0).integers(60, 201, (32, 32), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", image)
    weights = {"weight": torch.full((1, 1, 1, 1), float(factor)), "bias": torch.zeros(1)}
    write_checkpoint(weights, tmp_path / "model.pt")
    override = {"network_def": WEIGHTED, "spatial_dims": 2, "device": "cpu", "block_size": 16}
    predict(tmp_path / "scan.tif", tmp_path / "clean.tif", tmp_path, ["inference", "without_cycle"], BUNDLE, **override)
    report = json.loads((tmp_path / "clean.tif.guards.json").read_text())
    assert (report["contrast"], report["inverted_blocks"], report["blocks"]) == (contrast, blocks, 4)

    scan, clean = (values.astype(float) for values in (image, tifffile.imread(tmp_path / "clean.tif")))
    assert report["downsampling_error"] == pytest.approx(((clean - scan) ** 2).mean() ** 0.5 / scan.std(), abs=1e-5)
    if factor:
        assert report["contrast_correlation"] == pytest.approx(np.corrcoef(scan.ravel(), clean.ravel())[0, 1], abs=1e-5)
    else:
        assert report["contrast_correlation"] is None


@pytest.mark.parametrize("scale", [1, 2])
def test_the_cycle_map_beside_the_result_is_how_far_there_and_back_leads_from_the_scan(tmp_path, scale):
    scan = write_standardised(tmp_path / "scan.h5", (24, 24, 24))
    sizes = {"spatial_dims": 3, "scale": scale}
    network = write_model(tmp_path, BUNDLE, **sizes)
    parser = ConfigParser(config_of(BUNDLE, "inference"))
    parser.update(tiny_inference(BUNDLE) | sizes)
    reverse = parser.get_parsed_content("reverse_network_def").eval()
    reverse.load_state_dict(read_checkpoint(tmp_path / "model_reverse.pt"))
    override = {**sizes, "grey_range": [-3, 3], "block_size": 16}
    predict(scan, tmp_path / "clean.h5", tmp_path, bundle=BUNDLE, **override)
    with torch.no_grad():
        image = torch.from_numpy(open_volume(scan).read())[None] / 3
        expected = 3 * (reverse(network(image)) - image).abs()[0]
    found = torch.from_numpy(open_volume(tmp_path / "clean.h5.cycle_error.tif").read())
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_a_missing_way_back_is_told_before_anything_is_computed(tmp_path):
    scan = write_standardised(tmp_path / "scan.h5", (16, 16, 16))
    write_model(tmp_path, BUNDLE, spatial_dims=3)
    (tmp_path / "model_reverse.pt").unlink()
    override = {"spatial_dims": 3, "grey_range": [-3, 3]}
    with pytest.raises(RuntimeError) as refused:
        predict(scan, tmp_path / "clean.h5", tmp_path, bundle=BUNDLE, **override)
    assert "model_reverse.pt" in str(find_rock_error(refused.value)) and not (tmp_path / "clean.h5").exists()
    predict(scan, tmp_path / "clean.h5", tmp_path, ["inference", "without_cycle"], BUNDLE, **override)
    assert sorted(path.name for path in tmp_path.glob("clean*")) == ["clean.h5", "clean.h5.guards.json"]


@pytest.mark.parametrize("names", [("paper",), ()], ids=["paper", "default"])
def test_the_way_back_is_the_same_network_everywhere(names):
    trained, applied = (config_of(BUNDLE, first, *names) for first in ("train", "inference"))
    assert trained["reverse_network_def"] == applied["reverse_network_def"]
    there, back = trained["network_def"], dict(applied["reverse_network_def"])
    assert back.pop("coarser") and there == back


def test_the_published_weights_sum_to_200_and_each_role_has_its_own():
    """Weights of 10, 1 and 100, as published; its discriminators pay the sum of their errors, not the mean."""
    parser = ConfigParser(config_of(BUNDLE, "train", "paper"))
    parser.update({"weights#weights#adversarial_image": 20, "weights#weights#cycle_label": 90})
    losses, adversarial, d_weight = map(parser.get_parsed_content, ("losses", "adversarial", "d_weight"))
    weights = {term.name: term.weight for term in losses}
    assert weights == pytest.approx({"cycle_image": 90.0901, "cycle_label": 81.0811}, rel=1e-5)
    games = {game: one.weight for game, one in adversarial.items()}
    assert games == pytest.approx({"image": 18.018, "label": 9.00901}, rel=1e-5)
    assert d_weight == pytest.approx(dict.fromkeys(("image", "label"), 2 * 0.900901), rel=1e-5)


@pytest.mark.parametrize(("scale", "patch"), [(1, 128), (2, [64, 128, 128]), (4, 64)])
def test_the_published_patches_are_those_of_the_fast_scan(scale, patch):
    parser = ConfigParser(config_of(BUNDLE, "train", "paper"))
    parser.update({"scale": scale})
    assert parser.get_parsed_content("image_patch_size") == patch


def test_the_published_symmetries_are_flips():
    symmetry = ConfigParser(config_of(BUNDLE, "train", "paper")).get_parsed_content("symmetry")
    image = torch.arange(8.0).reshape(1, 2, 2, 2)
    flips = {tuple(image.flip(axes).flatten().tolist()) for n in range(4) for axes in combinations((1, 2, 3), n)}
    symmetry.set_random_state(0)
    assert {tuple(symmetry({"image": image})["image"].flatten().tolist()) for _ in range(200)} == flips


def test_noise_and_sharpness_of_the_phases_are_an_overlay(tmp_path):
    for key in ("image", "label", "semantic"):
        (tmp_path / "test" / key).mkdir(parents=True)
    classes = np.zeros((48, 48), np.uint8)
    classes[:, 24:] = 1
    noise = np.random.default_rng(0).normal(0, 10, classes.shape)
    greys = {"image": 60 + 120 * classes + noise, "label": 60 + 120 * classes, "semantic": classes}
    for key, values in greys.items():
        tifffile.imwrite(tmp_path / "test" / key / "rock.tif", values.astype(np.uint8))
    write_model(tmp_path, BUNDLE)
    files = {"dataset_dir": str(tmp_path), "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "scores")}
    workflow(BUNDLE, ["evaluate", "phases"], "infer", **tiny_network(BUNDLE), **files).run()
    metrics = json.loads((tmp_path / "scores" / "scores.json").read_text())["metrics"]
    assert metrics["noise_label"]["mean"] == pytest.approx(0, abs=1e-6)
    inside = greys["image"].astype(np.uint8)[:, 26:] / 127.5
    assert metrics["noise_input"]["mean"] == pytest.approx(inside.std(), rel=1e-4)
    assert metrics["edge_width_label"]["mean"] > 0


@pytest.mark.parametrize("tuner", [False, True])
def test_the_tuner_watches_only_where_it_is_asked_for(tuner, tmp_path):
    flow = train(BUNDLE, write_small_set(tmp_path / "set", BUNDLE), tmp_path / "run", tuner=tuner)
    assert ("tuner" in vars(flow.parser.get_parsed_content("train#trainer").state)) is tuner


def test_the_tuner_has_no_schedule_to_work_against(tmp_path):
    flow = train(BUNDLE, write_small_set(tmp_path / "set", BUNDLE), tmp_path / "run", ["train", "tuner"], epochs=3)
    trainer = flow.parser.get_parsed_content("train#trainer")
    assert trainer.state.tuner["record"]["step"] == 9
    begun = [flow.parser.get_parsed_content(key) for key in ("lr", "d_lr")]
    assert [group["lr"] for part in (trainer.optimizer, trainer.d_optimizer) for group in part.param_groups] == begun


def test_an_image_of_one_slice_has_its_guards(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (9, 32, 32), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", grey)
    write_model(tmp_path, BUNDLE)
    slab = {"slicewise": "z", "region": [[5, 6], [0, 32], [0, 32]], "block_size": 16}
    predict(tmp_path / "scan.tif", tmp_path / "clean.tif", tmp_path, bundle=BUNDLE, **slab)
    report = json.loads((tmp_path / "clean.tif.guards.json").read_text())
    clean, scan = tifffile.imread(tmp_path / "clean.tif").astype(float), grey[5].astype(float)
    assert report["contrast_correlation"] == pytest.approx(np.corrcoef(scan.ravel(), clean.ravel())[0, 1], abs=1e-5)


def test_greys_that_the_result_cannot_hold_are_refused_before_anything_is_computed(tmp_path):
    tifffile.imwrite(tmp_path / "scan.tif", np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8))
    write_model(tmp_path, BUNDLE)
    files = (tmp_path / "scan.tif", tmp_path / "clean.tif", tmp_path, ["inference", "without_cycle"], BUNDLE)
    with pytest.raises(RuntimeError) as refused:
        predict(*files, label_grey_range=[18000, 42000])
    assert "none of which uint8 can hold: pass an --output_dtype" in str(find_rock_error(refused.value))
    predict(*files, label_grey_range=[18000, 42000], output_dtype="uint16")
    assert open_volume(tmp_path / "clean.tif").dtype == np.uint16


def evaluate(folder, dataset, **override):
    """Score the model in ``folder`` and return what ``scores.json`` says of each metric."""
    files = {"dataset_dir": str(dataset), "ckpt_dir": str(folder), "output_dir": str(folder / "scores")}
    workflow(BUNDLE, "evaluate", "infer", **tiny_network(BUNDLE) | files | override).run()
    return json.loads((folder / "scores" / "scores.json").read_text())["metrics"]


@pytest.mark.parametrize("scale", [1, 2])
def test_a_scan_without_a_truth_is_not_scored_against_itself(scale, tmp_path):
    tifffile.imwrite(tmp_path / "scan.tif", np.random.default_rng(0).integers(0, 256, (64, 32), dtype=np.uint8))
    write_model(tmp_path, BUNDLE, scale=scale)
    with pytest.raises(RuntimeError) as refused:
        evaluate(tmp_path, tmp_path / "scan.tif", scale=scale)
    label = {1: "of its own", 2: "2 times as fine"}[scale]
    assert f"scan.tif has no label {label}: an evaluation needs pairs" in str(find_rock_error(refused.value))


def test_greys_beyond_the_range_are_no_error_of_the_prediction(tmp_path):
    """A network that changes nothing scores a perfect pair as perfect, tails included."""
    grey = np.random.default_rng(0).normal(0, 2, (32, 32)).astype(np.float32)
    for key in ("image", "label"):
        (tmp_path / "set" / "test" / key).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "set" / "test" / key / "rock.tif", grey)
    write_checkpoint({"weight": torch.ones(1, 1, 1, 1), "bias": torch.zeros(1)}, tmp_path / "model.pt")
    scores = evaluate(tmp_path, tmp_path / "set", network_def=WEIGHTED, spatial_dims=2, grey_range=[-3, 3])
    assert scores["ssim"]["mean"] == scores["ssim_input"]["mean"] == pytest.approx(1)
    assert scores["downsampling_error"]["mean"] == pytest.approx(0, abs=1e-6)
