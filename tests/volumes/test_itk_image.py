from pathlib import Path

import itk
import numpy as np
import pytest

from rockmonai.errors import DataError
from rockmonai.volumes import create_volume, open_volume

ARRAY = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["scan.nrrd", "scan.nhdr", "scan.mha", "scan.mhd"])
def test_reads_what_itk_writes(tmp_path: Path, name: str, compressed: bool) -> None:
    image = itk.image_from_array(ARRAY)
    image.SetSpacing([1.0, 2.0, 3.0])
    itk.imwrite(image, str(tmp_path / name), compression=compressed)
    volume = open_volume(tmp_path / name)
    assert (volume.shape, volume.dtype, volume.spacing) == ((1, 4, 5, 6), np.uint16, None)  # ITK writes no unit
    assert np.array_equal(volume[0, 1:3, ::2, 4], ARRAY[1:3, ::2, 4])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("scan.mha", b"ElementSpacing", b"DistanceUnits = mm\nElementSpacing"),
        ("scan.nrrd", b"kinds:", b'space units: "mm" "mm" "mm"\nkinds:'),
    ],
)
def test_stated_units_are_converted(tmp_path: Path, name: str, old: bytes, new: bytes) -> None:
    image = itk.image_from_array(ARRAY)
    image.SetSpacing([0.001, 0.002, 0.003])
    itk.imwrite(image, str(tmp_path / name))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(old, new, 1))
    volume = open_volume(tmp_path / name)
    assert volume.spacing == pytest.approx((3, 2, 1))
    assert np.array_equal(volume.read()[0], ARRAY)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_itk_reads_what_we_write(tmp_path: Path, name: str) -> None:
    with create_volume(tmp_path / name, (1, 4, 5, 6), np.uint16, (3, 2, 1.5)) as volume:
        volume[0] = ARRAY
    image = itk.imread(str(tmp_path / name))
    assert list(image.GetSpacing()) == [1.5, 2, 3]
    assert np.array_equal(itk.array_from_image(image), ARRAY)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_big_endian_is_turned_native(tmp_path: Path, name: str) -> None:
    with create_volume(tmp_path / name, (1, 4, 5, 6), np.uint16) as volume:
        volume[0] = ARRAY.byteswap()
    data = (tmp_path / name).read_bytes()
    data = data.replace(b"endian: little", b"endian: big").replace(b"ByteOrderMSB = False", b"ByteOrderMSB = True")
    (tmp_path / name).write_bytes(data)
    back = open_volume(tmp_path / name)
    assert back.dtype.isnative
    assert np.array_equal(back.read()[0], ARRAY)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    with create_volume(tmp_path / name, (1, 4, 5, 6), np.uint16) as volume:
        volume[0] = ARRAY
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-40])
    with pytest.raises(DataError, match="truncated: it has 200 of 240 bytes"):
        open_volume(tmp_path / name)
