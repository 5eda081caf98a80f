from __future__ import annotations

import h5py
import numpy as np
import pytest
import tifffile
import torch
from monai.transforms import Compose, ConcatItemsd

from rockmonai.data import Scan
from rockmonai.data.scan import check_dimensions
from rockmonai.errors import DataError, UsageError
from rockmonai.transforms import ScaleGreyd
from tests.data.images import write

scaled = Compose([ScaleGreyd("image")])


@pytest.fixture
def greys():
    return np.random.default_rng(0).integers(0, 65536, (7, 9, 11), np.uint16)


@pytest.fixture
def scan(greys, tmp_path):
    tifffile.imwrite(tmp_path / "rock.tif", greys, photometric="minisblack")
    return Scan(str(tmp_path / "rock.tif"), scaled)


def test_what_a_scan_knows_of_itself(scan):
    assert (scan.name, scan.shape, scan.spatial_dims, scan.channels) == ("rock", (7, 9, 11), 3, 1)
    assert scan.dtype == np.uint16


def test_piece_of_the_transformed_is_the_transformed_piece(scan, greys):
    whole = scaled({"image": greys[None]})["image"]
    piece = scan.read((slice(2, 5), slice(0, 9), slice(10, 11)))
    assert piece.dtype == torch.float32
    assert torch.equal(torch.as_tensor(piece), torch.as_tensor(whole[:, 2:5, :, 10:]))


def test_beyond_the_far_faces_it_is_mirrored(scan, greys):
    whole = torch.as_tensor(scaled({"image": greys[None]})["image"]).numpy()
    piece = scan.read((slice(4, 10), slice(0, 9), slice(8, 14)))
    mirrored = np.pad(whole, ((0, 0), (0, 3), (0, 0), (0, 3)), "symmetric")
    assert np.array_equal(piece.numpy(), mirrored[:, 4:10, :, 8:14])


@pytest.mark.parametrize("sides", [(3, 4, 5), (7, 2, 2), (7, 9, 11)])
def test_samples_lead_from_corner_to_corner(scan, sides):
    samples = scan.samples(50, sides)
    assert all(sample.shape == (1, 1, *sides) for sample in samples)
    whole = scan.read(tuple(slice(0, n) for n in scan.shape))
    z, y, x = sides
    assert torch.equal(samples[0][0], whole[:, :z, :y, :x])
    assert torch.equal(samples[-1][0], whole[:, -z:, -y:, -x:])
    # Together they see every slice of the scan along its longest axis.
    assert len(samples) == max(-(-n // side) for n, side in zip(scan.shape, sides, strict=True))


def test_samples_of_more_than_the_scan_are_mirrored(scan):
    samples = scan.samples(50, (3, 12, 16))
    whole = scan.read(tuple(slice(0, n) for n in scan.shape)).numpy()
    mirrored = np.pad(whole, ((0, 0), (0, 0), (0, 3), (0, 5)), "symmetric")
    assert len(samples) == 3
    assert np.array_equal(samples[0][0], mirrored[:, :3]) and np.array_equal(samples[-1][0], mirrored[:, -3:])


def test_one_sample_is_in_the_middle(scan):
    (sample,) = scan.samples(1, (1, 1, 1))
    assert torch.equal(sample[0], scan.read((slice(3, 4), slice(4, 5), slice(5, 6))))


def test_folder_of_slices_is_a_volume(tmp_path):
    for z in range(3):
        write(tmp_path / "rock" / f"{z}.tif")
    assert Scan(str(tmp_path / "rock"), scaled).shape == (3, 4, 4)


def test_dataset_within_a_file_has_the_name_of_the_file(tmp_path):
    with h5py.File(tmp_path / "rock.h5", "w") as file:
        file["tomo/data"] = np.ones((4, 4, 4), np.uint8)
    assert Scan(f"{tmp_path}/rock.h5::tomo/data", scaled).name == "rock"


def test_channels_are_those_after_the_transform(tmp_path):
    np.save(tmp_path / "rock.npy", np.ones((2, 4, 4, 4), np.uint8))
    assert Scan(str(tmp_path / "rock.npy"), scaled).channels == 2
    assert Scan(str(tmp_path / "rock.npy"), lambda record: {"image": record["image"][:1]}).channels == 1


def test_holes_are_refused(tmp_path):
    greys = np.ones((4, 5, 6), np.float32)
    greys[1, 2, 3] = np.nan
    np.save(tmp_path / "rock.npy", greys)
    with pytest.raises(DataError, match=r"1 NaN/Inf voxels, first at \(z, y, x\) = \(1, 2, 3\)"):
        Scan(str(tmp_path / "rock.npy"), scaled)


def test_nan_may_be_filled_with_the_median_of_the_others_and_are_counted(tmp_path, caplog):
    grey = np.random.default_rng(0).random((4, 6, 8), np.float32)
    grey[1, 2, 3:5] = np.nan, np.inf
    np.save(tmp_path / "rock.npy", grey)
    scan = Scan(str(tmp_path / "rock.npy"), lambda record: record, nan="fill")
    expected = np.where(np.isfinite(grey), grey, np.median(grey[np.isfinite(grey)]))
    assert np.array_equal(scan.read((slice(0, 4), slice(0, 6), slice(0, 8)))[0], expected)
    assert "2 NaN/Inf voxels, first at (z, y, x) = (1, 2, 3)" in caplog.text
    with pytest.raises(UsageError, match=r"nan is 'fil'; use 'refuse' or 'fill' \(did you mean 'fill'\?\)"):
        Scan(str(tmp_path / "rock.npy"), lambda record: record, nan="fil")


def test_refusal_of_a_transform_arrives_as_it_is(tmp_path):
    np.save(tmp_path / "rock.npy", np.ones((4, 5, 6), np.float32))
    with pytest.raises(DataError, match="have no natural range"):
        Scan(str(tmp_path / "rock.npy"), scaled)


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="found nothing"):
        Scan(str(tmp_path), scaled)


def test_dimensions_of_model_and_scan(scan, tmp_path):
    with pytest.raises(DataError, match="is a volume of 7 x 9 x 11 voxels and the model is 2D: pass --slicewise z"):
        check_dimensions(scan, 2, None)
    check_dimensions(scan, 2, "zyx")
    check_dimensions(scan, 3, None)
    picture = Scan(str(write(tmp_path / "slice.tif")), scaled)
    check_dimensions(picture, 2, None)
    with pytest.raises(DataError, match="is 1 slice of 4 x 4 pixels and a 3D model needs a volume"):
        check_dimensions(picture, 3, None)
    with pytest.raises(DataError, match="--slicewise needs a volume"):
        check_dimensions(picture, 2, "z")


def test_several_scans_of_the_same_voxels_are_read_as_one(greys, tmp_path):
    paths = {"image": str(tmp_path / "rock.npy"), "charge": str(tmp_path / "charge.npy")}
    charge = (greys % 2).astype(np.uint8)
    np.save(paths["image"], greys)
    np.save(paths["charge"], charge)
    scan = Scan(paths, ConcatItemsd(["image", "charge"], "image"))
    assert (scan.name, scan.dtype, scan.channels) == ("rock", np.uint16, 2)
    piece = scan.read((slice(1, 3), slice(0, 9), slice(4, 5)))
    assert np.array_equal(piece, np.stack([greys, charge])[:, 1:3, :, 4:5])
    scan.check_unchanged()
    np.save(paths["charge"], 1 - charge)
    with pytest.raises(DataError, match=r"charge\.npy was modified"):
        scan.check_unchanged()
    np.save(paths["charge"], charge[1:])
    with pytest.raises(DataError, match=r"charge.npy has 6 x 9 x 11 voxels and .*rock.npy 7 x 9 x 11"):
        Scan(paths, ConcatItemsd(["image", "charge"], "image"))


def test_a_region_is_a_scan_of_its_own(scan, greys, tmp_path):
    region = Scan(scan.path, scaled, region=[[2, 6], [0, 9], [3, 8]])
    assert region.shape == (4, 9, 5)
    box = (slice(1, 5), slice(8, 9), slice(0, 6))  # one beyond two faces
    np.save(tmp_path / "cropped.npy", greys[2:6, :, 3:8])
    assert torch.equal(region.read(box), Scan(str(tmp_path / "cropped.npy"), scaled).read(box))
    for wrong in ([[0, 8], [0, 9], [0, 11]], [[3, 3], [0, 9], [0, 11]], [[0, 7], [0, 9]]):
        with pytest.raises(DataError, match=r"region .* does not fit .*rock.tif of 7 x 9 x 11 voxels"):
            Scan(scan.path, scaled, region=wrong)


def test_an_info_bar_is_not_there(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (12, 8, 3), np.uint8)
    rgb[:9] = rgb[:9, :, :1]  # colours in the bar alone
    path = str(tmp_path / "sem.tif")
    tifffile.imwrite(path, rgb, photometric="rgb")
    scan = Scan(path, lambda record: record, grey="luma", info_bar=3)
    assert scan.shape == (9, 8)
    # Beyond its lower face the image is mirrored, not continued by the bar.
    expected = np.pad(rgb[:9, :, 0], ((0, 2), (0, 0)), "symmetric")
    assert np.array_equal(scan.read((slice(0, 11), slice(0, 8)))[0], expected)
    part = Scan(path, lambda record: record, region=[[5, 9], [0, 8]], grey="luma", info_bar=3)
    assert np.array_equal(part.read((slice(0, 4), slice(0, 8)))[0], rgb[5:9, :, 0])
    with pytest.raises(DataError, match=r"does not fit .*sem.tif of 9 x 8 voxels"):
        Scan(path, lambda record: record, region=[[5, 10], [0, 8]], grey="luma", info_bar=3)
    with pytest.raises(DataError, match="has 12 rows, of which an info bar of 12 leaves no image; pass"):
        Scan(path, lambda record: record, grey="luma", info_bar=12)
    with pytest.raises(DataError, match="colour image"):
        Scan(path, lambda record: record, info_bar=3)


def test_every_slice_of_a_volume_has_its_info_bar(scan):
    z, y, x = scan.shape
    assert Scan(scan.path, scaled, info_bar=3).shape == (z, y - 3, x)


def test_nan_outside_the_region_are_not_there(tmp_path):
    grey = np.random.default_rng(0).random((4, 6, 8), np.float32)
    grey[0], grey[2, 3, 4] = np.nan, np.nan
    np.save(tmp_path / "rock.npy", grey)
    scan = Scan(str(tmp_path / "rock.npy"), lambda record: record, region=[[1, 4], [0, 3], [0, 8]])
    assert torch.equal(scan.read((slice(0, 3), slice(0, 3), slice(0, 8)))[0], torch.from_numpy(grey[1:, :3]))
    with pytest.raises(DataError, match=r"1 NaN/Inf voxels, first at \(z, y, x\) = \(1, 3, 4\)"):
        Scan(str(tmp_path / "rock.npy"), lambda record: record, region=[[1, 4], [0, 6], [0, 8]])


def test_a_finer_map_comes_with_the_voxels_of_its_scan(tmp_path):
    coarse, fine = (
        np.random.default_rng(n).integers(0, 9, (12, 16), np.uint8).repeat(n, 0).repeat(n, 1) for n in (1, 3)
    )
    for name, values in (("scan", coarse), ("map", fine)):
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
    seen = []

    def remember(record):
        seen.append(record)
        return record

    files = {"image": str(tmp_path / "scan.tif"), "semantic": str(tmp_path / "map.tif")}
    scan = Scan(files, remember, region=[[2, 12], [4, 16]])
    scan.read((slice(1, 5), slice(0, 6)))
    assert scan.shape == (10, 12)
    assert np.array_equal(seen[-1]["image"][0], coarse[3:7, 4:10])
    assert np.array_equal(seen[-1]["semantic"][0], fine[9:21, 12:30])


def test_a_map_of_another_grid_is_refused(tmp_path):
    for name, sides in (("scan", (12, 16)), ("map", (18, 24))):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros(sides, np.uint8))
    files = {"image": str(tmp_path / "scan.tif"), "semantic": str(tmp_path / "map.tif")}
    with pytest.raises(DataError, match=r"map.tif has 18 x 24 voxels .* a whole number of times more"):
        Scan(files, lambda record: record)
