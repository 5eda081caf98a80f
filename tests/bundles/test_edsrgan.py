"""The published data set's layout in 2D and 3D, volumes by an overlay, and features that need their weights."""

from __future__ import annotations

import csv
import json
import re

import h5py
import numpy as np
import pytest
import tifffile
import torch
from monai.bundle import ConfigParser
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from rockmonai.errors import UsageError, find_rock_error
from rockmonai.volumes import open_volume
from tests.bundles.runs import (
    BUNDLES,
    config_of,
    predict,
    tiny,
    tiny_evaluation,
    tiny_network,
    train,
    workflow,
    write_model,
    write_small_set,
)

BUNDLE = "edsrgan"
PUBLISHED = {"folders": {"image": "unknown_X2", "label": "HR"}, "scale": 2}
SHORT = {"epochs": 2, "epoch_length": 1, "warmup_epochs": 1}


def write_published(folder, save, shape, suffix):
    """Write coarse and fine scans of three rocks as the published data set has them, two of each for each split."""
    rng = np.random.default_rng(0)
    dims = f"{len(shape)}D"
    for rock in ("sandstone", "carbonate", "coal"):
        for split in ("train", "valid", "test"):
            for number in ("0001", "0002"):
                coarse = rng.integers(1, 255, [side // 2 for side in shape], dtype=np.uint8)
                fine = np.kron(coarse, np.ones([2] * len(shape), np.uint8))
                for kind, end, values in (("HR", "", fine), ("LR_unknown_X2", "x2", coarse)):
                    place = folder / f"{rock}{dims}" / f"{rock}{dims}_{split}_{kind}"
                    place.mkdir(parents=True, exist_ok=True)
                    save(place / f"{number}{end}{suffix}", values)
    return folder


def save_picture(path, values):
    Image.fromarray(np.stack([values] * 3, axis=-1)).save(path)


def save_matlab(path, values):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["temp"] = values
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def trained(dataset, run, *overlays, **override):
    files = {"dataset_dir": str(dataset), "output_dir": str(run)}
    small = tiny(BUNDLE, overlays[0] if overlays else None)
    workflow(BUNDLE, ["train", *overlays], "train", **small | SHORT | files | override).run()


def evaluated(dataset, run, *overlays, **override):
    files = {"dataset_dir": str(dataset), "ckpt_dir": str(run), "output_dir": str(run / "scores")}
    small = tiny_evaluation(BUNDLE, overlays[0] if overlays else None)
    workflow(BUNDLE, ["evaluate", *overlays], "infer", **small | files | override).run()
    return json.loads((run / "scores" / "scores.json").read_text())


def rows(folder, name="scores.csv"):
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("save", "suffix", "shape", "overlays"),
    [(save_picture, ".png", (48, 48), ()), (save_matlab, ".mat", (40, 40, 40), ("volume",))],
    ids=["2D pictures", "3D MATLAB files"],
)
def test_the_published_data_set_is_read_as_it_is_and_scored_by_rock(save, suffix, shape, overlays, tmp_path):
    dataset = write_published(tmp_path / "set", save, shape, suffix)
    trained(dataset, tmp_path / "run", *overlays, patch_size=24, **PUBLISHED)
    report = evaluated(dataset, tmp_path / "run", *overlays, **PUBLISHED)
    dims = f"{len(shape)}D"
    images = {name: group["psnr"]["images"] for name, group in report["groups"].items()}
    assert images == {f"carbonate{dims}": 2, f"coal{dims}": 2, f"sandstone{dims}": 2}
    examples = tmp_path / "run" / "scores" / "examples"
    for rock in images:
        pred, label = (tifffile.imread(examples / key / f"{rock}_0001.tif") for key in ("pred", "label"))
        if len(shape) == 2:
            (row,) = [row for row in rows(tmp_path / "run" / "scores") if row["name"] == f"{rock}_0001"]
            expected = peak_signal_noise_ratio(label, np.clip(pred, -1, 1), data_range=2)
            assert float(row["psnr"]) == pytest.approx(expected, abs=1e-3)


def test_a_volume_becomes_finer_in_all_directions(tmp_path):
    rng = np.random.default_rng(0)
    dataset = write_published(tmp_path / "set", save_matlab, (40, 40, 40), ".mat")
    trained(dataset, tmp_path / "run", "volume", patch_size=24, **PUBLISHED)
    scan = tmp_path / "scan.npy"
    np.save(scan, rng.integers(0, 255, (10, 12, 14), dtype=np.uint8))
    small = tiny_network(BUNDLE, "volume")
    predict(scan, tmp_path / "finer.tif", tmp_path / "run", ["inference", "volume"], BUNDLE, **small)
    assert open_volume(tmp_path / "finer.tif").shape == (1, 20, 24, 28)


def test_features_without_their_weights_stop_before_the_training(tmp_path):
    dataset = write_small_set(tmp_path / "set", BUNDLE)
    with pytest.raises(RuntimeError) as error:
        trained(dataset, tmp_path / "run", vgg_weight=0.01)
    found = find_rock_error(error.value)
    assert isinstance(found, UsageError) and "vgg19-dcbb9e9d.pth" in str(found)
    assert not list((tmp_path / "run").glob("*.pt"))


def test_patches_too_small_for_the_discriminator_stop_the_warmup(tmp_path):
    dataset = write_small_set(tmp_path / "set", BUNDLE)
    with pytest.raises(RuntimeError) as error:
        trained(dataset, tmp_path / "run", patch_size=12, epochs=3, warmup_epochs=2)
    found = find_rock_error(error.value)
    assert isinstance(found, UsageError) and "16 voxels a side or more, found 12 x 12" in str(found)
    assert not list((tmp_path / "run").glob("*.pt"))


def test_the_pixel_term_is_alone_in_the_first_phase(tmp_path):
    dataset = write_small_set(tmp_path / "set", BUNDLE)
    trained(dataset, tmp_path / "run", gradient_weight=0.1, texture_weight=1.0)
    first, second = rows(tmp_path / "run", "metrics.csv")
    assert float(first["pixel_loss"]) > 0
    for name in ("gradient_loss", "texture_loss"):
        assert not first[name] and float(second[name]) > 0


def balanced(losses):
    """The factor by which the guide's example changes the adversarial weight after an epoch."""
    return 0.1 * losses["pixel_loss"] / losses["adversarial_loss"]


def doubled_or_halved(losses):
    return 2 if losses["discriminator_loss"] < 0.5 else 0.5


TARGET = '{"+train#handlers": [{"_target_": "rockmonai.handlers.TargetDiscriminatorLoss", "interval": 1}]}'


@pytest.mark.parametrize(
    ("overlay", "factor"), [(None, balanced), (TARGET, doubled_or_halved)], ids=["guide", "target"]
)
def test_the_adversarial_weight_follows_the_losses(overlay, factor, tmp_path):
    guide = (BUNDLES / BUNDLE / "docs" / "README.md").read_text()
    (tmp_path / "balanced.json").write_text(overlay or re.search(r"```json\n(.*?)```", guide, re.S)[1])
    dataset = write_small_set(tmp_path / "set", BUNDLE)
    options = {"epochs": 3, "epoch_length": 1, "warmup_epochs": 1}
    train(BUNDLE, dataset, tmp_path / "run", ["train", str(tmp_path / "balanced.json")], **options)
    _, before, after = (
        {name: float(value) for name, value in row.items() if value} for row in rows(tmp_path / "run", "metrics.csv")
    )
    assert after["adversarial_weight"] == pytest.approx(before["adversarial_weight"] * factor(before), rel=1e-3)


def test_the_published_recipe_has_the_rates_and_slopes_of_the_original():
    """1e-4 for both networks, a tenth of it after 100 epochs; Adam as it is by default; slopes that begin at 0."""
    parser = ConfigParser(config_of(BUNDLE, "train", "paper"))
    parser.update({"device": "cpu", "patch_size": 32, "network_def#width": 4, "discriminator_def#channels": 2})
    for kind in ("", "d_"):
        optimizer, schedule = (parser.get_parsed_content(f"{kind}{name}") for name in ("optimizer", "lr_scheduler"))
        assert optimizer.defaults["betas"] == (0.9, 0.999) and optimizer.defaults["lr"] == 1e-4
        for _ in range(100):
            optimizer.step()
            schedule.step()
        assert schedule.get_last_lr()[0] == pytest.approx(1e-5, rel=1e-3)
    network = parser.get_parsed_content("network_def")
    slopes = [layer for layer in network.modules() if isinstance(layer, torch.nn.PReLU)]
    assert len(slopes) == 16 + 2 and all(torch.equal(layer.weight, torch.zeros(4)) for layer in slopes)


def test_the_default_network_has_as_many_weights_as_the_guide_says():
    """By hand: 1 to 32, 17 times 32 to 32, 32 to 16, all 3 x 3 with a bias."""
    network = ConfigParser(config_of(BUNDLE, "train")).get_parsed_content("network_def")
    expected = 32 * 9 + 32 + 17 * (32 * 32 * 9 + 32) + 32 * 16 * 9 + 16
    assert sum(weight.numel() for weight in network.parameters()) == expected
    assert f"{expected // 1000} 000 weights" in (BUNDLES / BUNDLE / "docs" / "README.md").read_text()


def test_the_mean_over_eight_sides_is_an_overlay_of_evaluation_and_inference(tmp_path):
    """The whole volume at once in the one, blocks in the other: both are the mean of what the network says itself."""
    dataset = write_small_set(tmp_path / "set", BUNDLE)
    network = write_model(tmp_path, BUNDLE)
    scan = tmp_path / "set" / "test" / "image" / "rock0.tif"
    predict(scan, tmp_path / "mean.tif", tmp_path, ["inference", "eightfold"], BUNDLE, block_size=16)
    files = {"dataset_dir": str(dataset), "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "scores")}
    workflow(BUNDLE, ["evaluate", "eightfold"], "infer", **tiny_network(BUNDLE), **files).run()
    image = torch.from_numpy(tifffile.imread(scan) / np.float32(127.5) - 1)[None, None]
    sides = [(flip, turns) for flip in ((), (2,)) for turns in range(4)]
    with torch.no_grad():
        answers = [torch.rot90(network(torch.rot90(image.flip(f), n, (2, 3))), -n, (2, 3)).flip(f) for f, n in sides]
    expected = torch.stack(answers).mean(0).clamp(-1, 1)[0, 0].numpy()
    np.testing.assert_allclose(tifffile.imread(tmp_path / "mean.tif"), (expected + 1) * 127.5, atol=0.51)
    label = tifffile.imread(dataset / "test" / "label" / "rock0.tif") / 127.5 - 1
    with (tmp_path / "scores" / "scores.csv").open(newline="") as file:
        (row,) = (row for row in csv.DictReader(file) if row["name"] == "rock0")
    assert float(row["psnr"]) == pytest.approx(10 * np.log10(4 / ((expected - label) ** 2).mean()), abs=1e-3)
