"""The readers on real scans, against tifffile, PIL and numpy; skipped where the scans are absent."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume


def test_cement_stack(real_data: Path) -> None:
    path = real_data / "cement_ct" / "cement_128x128x128.tif"
    volume = open_volume(path)
    assert (volume.shape, volume.dtype, volume.spacing) == ((1, 128, 128, 128), np.uint8, None)
    assert np.array_equal(volume[0, 40:60, ::7], tifffile.imread(path)[40:60, ::7])


def test_thin_sandstone_stack(real_data: Path) -> None:
    assert open_volume(real_data / "sandstone_ct" / "sandstone.tif").shape == (1, 250, 250, 50)


def test_versa_slices_with_their_spacing(real_data: Path) -> None:
    folder = real_data / "sandstone_versa" / "images"
    image = open_volume(folder / "Sandstone_Versa0000.tif")
    assert image.spacing == pytest.approx((1 / 0.448139,) * 2)
    assert open_volume(folder).shape == (1, 3, 1024, 996)


def test_compressed_colour_masks(real_data: Path) -> None:
    path = real_data / "sandstone_versa" / "masks" / "Sandstone_Versa0000.tif"
    expected = np.asarray(Image.open(path)).transpose(2, 0, 1)
    assert np.array_equal(open_volume(path, grey="keep")[:, 500:600, 300:], expected[:, 500:600, 300:])


def test_shale_label_palette(real_data: Path) -> None:
    path = real_data / "shale_sem" / "train" / "labels" / "1.tif"
    assert np.array_equal(open_volume(path, grey="index").read()[0], tifffile.imread(path))
    with pytest.raises(DataError, match="grey="):
        open_volume(path)


def test_shale_image_whose_caption_alone_is_coloured(real_data: Path) -> None:
    path = real_data / "shale_sem" / "train" / "images" / "1.tif"
    expected = np.asarray(Image.open(path).convert("RGB"))[:688, :, 0]
    assert np.array_equal(open_volume(path, grey="luma")[0, :688], expected)


@pytest.mark.parametrize(("image", "nanometres"), [("test/images/1.tif", 4.466), ("train/images/4.tif", 7.443)])
def test_shale_pixel_size_as_the_microscope_wrote_it(real_data: Path, image: str, nanometres: float) -> None:
    assert open_volume(real_data / "shale_sem" / image, grey="luma").spacing == pytest.approx((nanometres / 1000,) * 2)


def test_bentheimer_png_with_equal_channels(real_data: Path) -> None:
    path = real_data / "bentheimer_pair" / "Project211_sandstone_slice_0801hr.png"
    assert np.array_equal(open_volume(path).read()[0], np.asarray(Image.open(path))[..., 0])


def test_berea_raw_with_a_sidecar(real_data: Path, tmp_path: Path) -> None:
    shutil.copy(real_data / "raw" / "berea_pore_110x110x110_u8.raw", tmp_path / "berea.raw")
    (tmp_path / "berea.json").write_text(json.dumps({"shape": [110] * 3, "dtype": "uint8"}))
    assert (open_volume(tmp_path / "berea.raw").read() == 0).mean() == pytest.approx(0.178, abs=5e-4)
