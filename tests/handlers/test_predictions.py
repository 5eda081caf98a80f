from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from ignite.engine import Engine
from PIL import Image

from rockmonai.errors import DataError, UsageError
from rockmonai.handlers import Predictions
from rockmonai.volumes import open_volume

COLOURS = [[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 0]]
CLASSES = np.random.default_rng(0).integers(0, 4, (1, 9, 13))
UNSURE = np.random.default_rng(1).random((1, 9, 13)).astype(np.float32)


def evaluate(folder, images, colours=COLOURS, data=()):
    """Run an engine over batches of one, whose outputs are ``images`` (name, output)."""
    engine = Engine(lambda engine, batch: [batch[0]["made"]])
    engine.state.rank = 0
    Predictions(str(folder), colours, data).attach(engine)
    engine.run([[{"name": name, "made": output}] for name, output in images])


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8])
def test_every_image_leaves_its_classes_colours_and_uncertainty(tmp_path, dtype):
    output = {"pred": torch.from_numpy(CLASSES).to(dtype), "uncertainty": torch.from_numpy(UNSURE)}
    evaluate(tmp_path, [("rock7", output), ("a/b", {"pred": output["pred"]})])
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} == {
        *(f"{folder}/rock7.tif" for folder in ("classes", "colours", "uncertainty")),
        "classes/a_b.tif",
        "colours/a_b.tif",
    }
    found = tifffile.imread(tmp_path / "classes" / "rock7.tif")
    assert found.dtype == np.uint8 and np.array_equal(found, CLASSES[0])
    picture = Image.open(tmp_path / "colours" / "rock7.tif")
    assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), np.array(COLOURS)[CLASSES[0]])
    unsure = tifffile.imread(tmp_path / "uncertainty" / "rock7.tif")
    assert unsure.dtype == np.uint8 and np.array_equal(unsure, np.rint(255 * UNSURE[0].astype(float)))


def test_files_have_the_pixel_size_of_their_images(tmp_path):
    scan = tmp_path / "rock.tif"
    resolution = {"resolution": (1 / 0.008, 1 / 0.008), "metadata": {"unit": "um"}}
    tifffile.imwrite(scan, CLASSES[0].astype(np.uint8), imagej=True, **resolution)
    evaluate(tmp_path / "out", [("rock", {"pred": torch.from_numpy(CLASSES)})], data=[{"name": "rock", "image": scan}])
    assert open_volume(tmp_path / "out" / "classes" / "rock.tif").spacing == pytest.approx((0.008, 0.008))


def test_volumes_are_saved_as_volumes_and_colours_only_where_given(tmp_path):
    classes = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (1, 5, 9, 13)))
    for _ in range(2):  # the second replaces the first
        evaluate(tmp_path, [("rock", {"pred": classes})], colours=None)
    assert [path.name for path in tmp_path.iterdir()] == ["classes"]
    assert np.array_equal(tifffile.imread(tmp_path / "classes" / "rock.tif"), classes[0].numpy())


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([("a", {"pred": torch.zeros(3, 4, 4)})], r"one channel .* found \(3, 4, 4\).*argmax"),
        ([("a", {"pred": torch.full((1, 4, 4), 256)})], "from 256 to 256"),
        ([("a", {"pred": torch.full((1, 4, 4), 4)})], "4 colours has none for the index 4"),
        ([("a", {"pred": torch.zeros(1, 4, 4)})] * 2, "Two images are called 'a'"),
    ],
)
def test_what_cannot_be_kept_is_told(tmp_path, images, sentence):
    with pytest.raises(DataError, match=sentence):
        evaluate(tmp_path, images)


@pytest.mark.parametrize("colour", [[0, 0], [0, 0, 256], [0, 0, 0.5]])
def test_a_colour_is_three_bytes(tmp_path, colour):
    with pytest.raises(UsageError, match="is no colour"):
        Predictions(str(tmp_path), [colour])
