"""What the shale bundles promise: painted labels, one pixel size, one image left out, and the same maps from both."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F
from scipy.special import softmax
from scipy.stats import entropy

from rockmonai.handlers import write_checkpoint
from tests.bundles.runs import config_of, predict, tiny, tiny_evaluation, workflow, write_model
from tests.inferers.networks import randomised

BUNDLE = "shale_unet"
BAR = 8
COLOURS = np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 0]], np.uint8)
SHARED = [
    ["evaluate"],
    ["evaluate", "original_protocol"],
    ["evaluate", "eightfold"],
    ["inference"],
    ["inference", "sliding_window"],
]


def write_rock(folder, name, image, label, spacing=None, **tags):
    """Write an image, with its pixel size in micrometres if it has one, and its label."""
    tags |= {"imagej": True, "resolution": (1 / spacing,) * 2, "metadata": {"unit": "um"}} if spacing else {}
    for key, values in {"images": image, "labels": label}.items():
        (folder / key).mkdir(parents=True, exist_ok=True)
        rgb = {"photometric": "rgb"} if values.ndim == 3 else {}
        tifffile.imwrite(folder / key / f"{name}.tif", values, **(rgb or tags))


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def scores_of(output):
    """The rows of an evaluation by name, their figures as numbers."""
    rows = csv.DictReader((output / "scores.csv").open())
    return {row.pop("name"): {key: float(value or "nan") for key, value in row.items()} for row in rows}


def evaluate(output, *overlays, bundle=BUNDLE, **override):
    """Evaluate, with the tiny network if no other is given, and return the folder of the results."""
    small = tiny_evaluation(bundle)
    small = {key: value for key, value in small.items() if "network_def" not in override or "#" not in key}
    workflow(bundle, ["evaluate", *overlays], "infer", **small | {"output_dir": str(output)} | override).run()
    return output


def item_of(flow, key):
    return flow.parser.get_parsed_content(key)


@torch.no_grad()
def undecided(network, last, image):
    """Scale the ``last`` layer such that every class of ``network`` wins somewhere in ``image``."""
    logits = network(image)
    factor = 2 / logits.std((0, 2, 3))
    last.bias.sub_(logits.mean((0, 2, 3))).mul_(factor)
    last.weight.mul_(factor.view(-1, 1, 1, 1))
    return network


@pytest.mark.parametrize("names", SHARED, ids="+".join)
def test_the_two_bundles_differ_in_their_networks_alone(names):
    unet, ensemble = (config_of(bundle, *names) for bundle in (BUNDLE, "shale_ensemble"))
    for key in ("bundle_root", "network_def"):
        assert unet.pop(key) != ensemble.pop(key)
    assert unet == ensemble


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A data set as annotators leave it, with weights of a network that knows it; true classes and colours by name.

    Each class has greys of its own, mineral those around 30: there are natural pixels of 0 and 3, the colours of clay
    in one of the labels or the other. The bar below says the opposite of what the network knows.
    """
    folder, rng = tmp_path_factory.mktemp("painted"), np.random.default_rng(0)
    middles, truth, shown = np.array([30, 100, 160, 220]), {}, {}
    ramp = np.arange(256).repeat(3).reshape(256, 3)
    ramp[9], ramp[18] = COLOURS[1], COLOURS[2]
    for name, clay in (("palette", 3), ("rgb", 0)):
        classes = rng.integers(0, 4, (6, 8)).repeat(8, 0).repeat(8, 1)
        grey = middles[classes] + rng.integers(-28, 29, classes.shape)
        grey[classes == 0] = rng.choice([0, 3, 12, 40, 58], (classes == 0).sum())
        image = np.vstack([grey, np.full((BAR, 64), 18)]).astype(np.uint8)
        label = np.select([classes == 1, classes == 2, classes == 3], [9, 18, clay], grey)
        label = np.vstack([label, np.full((BAR, 64), 9)]).astype(np.uint8)
        palette = {"photometric": "palette", "colormap": (ramp.T * 257).astype(np.uint16)}
        rgb = ramp[label].astype(np.uint8)
        painting, tags = (label, palette) if name == "palette" else (rgb, {})
        write_rock(folder / "test", name, image, painting, **tags)
        truth[name], shown[name] = classes, rgb[:-BAR]
    # The nearest of four greys c is that of the greatest 2cx - c².
    centres = torch.from_numpy(middles / 127.5 - 1).float()
    weights = {"weight": 200 * centres.view(4, 1, 1, 1), "bias": -100 * centres**2}
    write_checkpoint(weights, folder / "model.pt")
    return folder, truth, shown


KNOWING = {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 1}


def evaluate_painted(painted, output, *overlays):
    folder = str(painted[0])
    return evaluate(output, *overlays, dataset_dir=folder, ckpt_dir=folder, info_bar=BAR, network_def=KNOWING)


def test_a_network_that_knows_what_was_painted_has_no_error(painted, tmp_path):
    evaluate_painted(painted, tmp_path)
    truth = painted[1]
    found = scores_of(tmp_path)
    assert list(found) == list(truth)
    for name, figures in found.items():
        assert figures == {key: 0.0 if key.startswith("area") else 1.0 for key in figures}, name
        assert np.array_equal(tifffile.imread(tmp_path / "classes" / f"{name}.tif"), truth[name])
        scan = painted[0] / "test" / "images" / f"{name}.tif"
        predict(scan, tmp_path / f"{name}.tif", painted[0], bundle=BUNDLE, info_bar=BAR, network_def=KNOWING)
        assert np.array_equal(tifffile.imread(tmp_path / f"{name}.tif"), truth[name])
    counts = np.genfromtxt(tmp_path / "confusion.csv", delimiter=",", skip_header=1)[:, 1:]
    assert np.array_equal(counts, np.diag(np.bincount(np.concatenate([*truth.values()]).ravel())))


def test_the_published_protocol_takes_every_black_pixel_for_clay_and_no_other(painted, tmp_path):
    found = scores_of(evaluate_painted(painted, tmp_path, "original_protocol"))
    for name, truth in painted[1].items():
        label = sum(number * (painted[2][name] == COLOURS[number]).all(-1) for number in (1, 2, 3))
        ious = [((truth == k) & (label == k)).sum() / ((truth == k) | (label == k)).sum() for k in range(4)]
        assert ious[3] < 0.9, "natural black and painted grey 3 count"
        assert list(found[name].values()) == pytest.approx([np.mean(ious), *ious], abs=1e-6)


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    """Two images to train on and one to test: the n-th has class n alone beside mineral, its info bar the next."""
    folder = tmp_path_factory.mktemp("folds")
    for number, place in enumerate(("train/1", "train/2", "test/1"), start=1):
        split, name = place.split("/")
        classes = np.tile([0, number], (48, 24))
        label = np.vstack([classes, np.full((BAR, 48), number % 3 + 1)]).astype(np.uint8)
        write_rock(folder / split, name, noise(label.shape), label)
    return folder


@pytest.mark.parametrize(("fold", "name"), [(0, "train_1"), (1, "train_2"), (2, "test_1")])
def test_the_image_that_is_left_out_is_evaluated_and_no_other(folds, tmp_path, fold, name):
    override = {"dataset_dir": str(folds), "fold": fold, "info_bar": BAR}
    flow = workflow(BUNDLE, "train", "train", **tiny(BUNDLE) | override, output_dir=str(tmp_path / "run"))
    seen, dataset = set(), item_of(flow, "train#dataset")
    for draw in range(12):
        seen |= set(np.unique(dataset[draw]["label"]))
    # Neither the image itself nor the info bar of the one before, which has its class.
    others = {1, 2, 3} - {fold + 1}
    assert seen == {0, *others}
    assert item_of(flow, "counts").tolist() == [48 * 48, *(48 * 24 * (number in others) for number in (1, 2, 3))]
    validated = item_of(flow, "validate#dataset")
    assert len(validated) == 1 and validated[0]["name"] == name
    assert np.unique(validated[0]["label"]).tolist() == [0, fold + 1]

    write_model(tmp_path, BUNDLE)
    assert list(scores_of(evaluate(tmp_path / "scores", **override, ckpt_dir=str(tmp_path)))) == [name]


@torch.no_grad()
def logits_of(network, grey, factor, eightfold):
    """Logits for a whole image, magnified or reduced for the network and brought back, by hand."""
    multiple = int(4 / factor)
    mirrored = np.pad(grey, [(0, -length % multiple) for length in grey.shape], mode="symmetric")
    image = torch.from_numpy(mirrored / 127.5 - 1).float()[None, None]
    grow, shrink = (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")), (lambda x: F.avg_pool2d(x, 2))
    before, after = {1: (lambda x: x,) * 2, 2: (grow, shrink), 0.5: (shrink, grow)}[factor]
    image = before(image)
    if eightfold:
        views = [(turns, mirror) for turns in range(4) for mirror in ([], [3])]
        said = [network(image.rot90(turns, (2, 3)).flip(mirror)).softmax(1) for turns, mirror in views]
        back = [one.flip(mirror).rot90(-turns, (2, 3)) for one, (turns, mirror) in zip(said, views, strict=True)]
        logits = torch.stack(back).mean(0).log()
    else:
        logits = network(image)
    return after(logits)[0].numpy()[:, : grey.shape[0], : grey.shape[1]]


@pytest.mark.parametrize(("factor", "eightfold"), [(1, False), (2, False), (0.5, False), (2, True), (0.5, True)])
def test_evaluation_and_inference_leave_the_maps_that_the_network_makes_by_hand(tmp_path, factor, eightfold):
    image, overlay = noise((25, 32)).repeat(2, 0).repeat(2, 1)[:, :63], ["eightfold"] * eightfold
    network = randomised(write_model(tmp_path, BUNDLE))
    undecided(network, network.tail, torch.from_numpy(image[:48, :60] / 127.5 - 1).float()[None, None])
    write_checkpoint(network.state_dict(), tmp_path / "model.pt")
    write_rock(tmp_path / "test", "rock", image, image % 4, 0.008 * factor)
    override = {"ckpt_dir": str(tmp_path), "info_bar": BAR}
    evaluate(tmp_path, *overlay, dataset_dir=str(tmp_path), **override)
    beside = {"uncertainty_file": str(tmp_path / "u.tif"), "colour_file": str(tmp_path / "c.tif")}
    config, scan = ["inference", *overlay], tmp_path / "test" / "images" / "rock.tif"
    predict(scan, tmp_path / "f.tif", tmp_path, config, BUNDLE, block_size=32, info_bar=BAR, **beside)

    logits = logits_of(network, image[:-BAR], factor, eightfold)
    expected = logits.argmax(0)
    unsure = 255 * entropy(softmax(logits, 0), base=4)
    assert set(np.unique(expected)) == {0, 1, 2, 3} and unsure.std() > 5
    for classes, uncertainty, colours in (
        (f"{folder}/rock.tif" for folder in ("classes", "uncertainty", "colours")),
        ("f.tif", "u.tif", "c.tif"),
    ):
        found = tifffile.imread(tmp_path / classes)
        # Logits that differ by no more than rounding may change places.
        assert found.shape == expected.shape and (found != expected).mean() <= 1e-3
        assert np.abs(tifffile.imread(tmp_path / uncertainty) - unsure).max() <= 0.51
        assert np.array_equal(tifffile.imread(tmp_path / colours), COLOURS[found])


def wavelength(patch):
    """Pixels from one stripe to the next in any direction, from the peak of the spectrum."""
    window = np.hanning(len(patch))
    spectrum = np.abs(np.fft.fft2((patch - patch.mean()) * np.outer(window, window), (512, 512)))
    peak = np.unravel_index(spectrum.argmax(), spectrum.shape)
    return 1 / np.hypot(*np.fft.fftfreq(512)[[*peak]])


@pytest.mark.parametrize(("pixel_size", "coarse", "fine"), [(0.008, 8, 8), (None, 4, 16)])
def test_images_of_all_magnifications_are_learnt_from_at_one_pixel_size(tmp_path, pixel_size, coarse, fine):
    """Stripes of 64 nm, eight pixels of the network's."""
    for name, split, spacing, side in (
        ("coarse", "train", 0.016, 64),
        ("fine", "train", 0.004, 128),
        ("x", "test", 1, 8),
    ):
        stripes = 127.5 + 100 * np.sin(2 * np.pi * spacing / 0.064 * np.arange(side))
        image = np.rint(stripes).astype(np.uint8)[None].repeat(side, 0)
        write_rock(tmp_path / split, name, image, (image > 127).astype(np.uint8), spacing)
    override = {"dataset_dir": str(tmp_path), "fold": 2, "zoom": [1.0, 1.0], "bend": 0.0, "patch_size": 48}
    override |= {"pixel_size": pixel_size, "output_dir": str(tmp_path / "run")}
    dataset = item_of(workflow(BUNDLE, "train", "train", **tiny(BUNDLE) | override), "train#dataset")
    patches = [dataset[draw] for draw in range(8)]
    assert {patch["name"] for patch in patches} == {"coarse", "fine"}
    for patch in patches:
        expected = pytest.approx({"coarse": coarse, "fine": fine}[patch["name"]], rel=0.04)
        assert wavelength(patch["image"][0].numpy()) == expected
        assert wavelength(patch["label"][0].numpy()) == expected


def test_the_paper_trains_on_every_tile_of_more_than_one_class_and_nothing_else(tmp_path):
    """Tiles of 128 at every 32 pixels: six in 160 x 192 pixels above the bar."""
    shape, bar = (160 + BAR, 192), np.s_[-BAR:]
    corner, alone, mixed = np.zeros((3, *shape), np.uint8)
    corner[140, 10] = corner[5, 170] = 1  # in the tile (32, 0) and the tile (0, 64)
    alone[:160], mixed[:160, ::2] = 3, 2
    for name, label in (("corner", corner), ("alone", alone), ("mixed", mixed)):
        label[bar] = noise((BAR, 192)) % 4
        write_rock(tmp_path / "train", name, noise(shape, len(name)), label)
    write_rock(tmp_path / "validation", "x", noise((8, 8)), noise((8, 8)) % 4)
    override = tiny(BUNDLE, "paper") | {"patch_size": 128, "batch_size": 4, "num_workers": 0, "info_bar": BAR}
    files = {"dataset_dir": str(tmp_path), "output_dir": str(tmp_path / "run")}
    dataset = item_of(workflow(BUNDLE, ["train", "paper"], "train", **override, **files), "train#dataset")
    six = [(y, x) for y in (0, 32) for x in (0, 32, 64)]
    expected = {("corner", 0, 64), ("corner", 32, 0), *(("mixed", *at) for at in six)}
    tiles = {tile["name"]: tile for tile in (dataset[draw] for draw in range(len(expected)))}
    assert set(tiles) == {f"{name}_y{y:04d}_x{x:04d}" for name, y, x in expected}
    for name, y, x in expected:
        tile, window = tiles[f"{name}_y{y:04d}_x{x:04d}"], np.s_[y : y + 128, x : x + 128]
        image, label = (
            tifffile.imread(tmp_path / "train" / key / f"{name}.tif")[window] for key in ("images", "labels")
        )
        assert np.array_equal(tile["label"][0], label)
        np.testing.assert_allclose(tile["image"][0], image / 127.5 - 1, atol=1e-6)
