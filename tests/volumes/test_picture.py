from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume

GREY = np.random.default_rng(0).integers(0, 256, (20, 16)).astype(np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_every_way_of_storing_grey_gives_one_channel(tmp_path: Path, mode: str, suffix: str) -> None:
    if suffix == ".bmp" and mode == "LA":
        pytest.skip("BMP has no grey with alpha")
    Image.fromarray(GREY).convert(mode).save(tmp_path / f"rock{suffix}")
    volume = open_volume(tmp_path / f"rock{suffix}")
    assert volume.shape == (1, 20, 16)
    assert np.array_equal(volume[0, 2:9, ::3], GREY[2:9, ::3])


def test_binary_pictures_hold_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(GREY > 99).save(tmp_path / "mask.png")
    volume = open_volume(tmp_path / "mask.png")
    assert volume.dtype == np.uint8
    assert np.array_equal(volume.read()[0], GREY > 99)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_survive(tmp_path: Path, channels: int) -> None:
    fine = np.squeeze(np.stack([GREY.astype(np.uint16) * 257 + n for n in range(channels)], axis=-1))
    (tmp_path / "rock.png").write_bytes(imagecodecs.png_encode(fine))
    volume = open_volume(tmp_path / "rock.png", grey="keep")
    assert volume.dtype == np.uint16
    assert np.array_equal(volume.read(), fine.reshape(20, 16, channels).transpose(2, 0, 1))


def test_palette_indices_are_kept_on_request(tmp_path: Path) -> None:
    image = Image.fromarray(GREY % 3)
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "labels.png")
    assert np.array_equal(open_volume(tmp_path / "labels.png", grey="index").read()[0], GREY % 3)
    with pytest.raises(DataError, match="colour image"):
        open_volume(tmp_path / "labels.png")


def test_jpg_is_read(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 16), 77, np.uint8)).save(tmp_path / "rock.jpg")
    assert (open_volume(tmp_path / "rock.jpg").read() == 77).all()


@pytest.mark.parametrize(("dpi", "spacing"), [((25400, 12700), (2, 1)), ((72, 72), None), ((300, 300), None)])
def test_resolution_is_spacing_unless_it_is_a_printers(
    tmp_path: Path, dpi: tuple[int, int], spacing: tuple[float, float] | None
) -> None:
    Image.fromarray(GREY).save(tmp_path / "rock.png", dpi=dpi)
    found = open_volume(tmp_path / "rock.png").spacing
    assert found == (spacing and pytest.approx(spacing, rel=1e-4))


def test_a_truncated_png_is_refused_when_opened(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "rock.png")
    whole = (tmp_path / "rock.png").read_bytes()
    (tmp_path / "rock.png").write_bytes(whole[:-30])
    with pytest.raises(DataError, match=f"rock.png is truncated: it ends after {len(whole) - 30} bytes"):
        open_volume(tmp_path / "rock.png")
