import gc

import numpy as np
import pytest
from PIL import Image

from rockmonai.volumes import deferred, open_volume
from rockmonai.volumes.deferred import Deferred


class Decoder:
    """Makes images of 100 bytes and counts how often each is decoded."""

    def __init__(self):
        self.times = {}

    def image(self, name):
        def load():
            self.times[name] = self.times.get(name, 0) + 1
            return np.full((10, 10), name, np.uint8)

        return Deferred((10, 10), np.dtype(np.uint8), load)


@pytest.fixture(autouse=True)
def room_for_three(monkeypatch):
    gc.collect()
    deferred._kept.clear()
    monkeypatch.setattr(deferred, "KEPT_BYTES", 300)


def test_nothing_is_decoded_before_the_first_read_nor_twice():
    decoder = Decoder()
    image = decoder.image(7)
    assert decoder.times == {}
    assert image[3, 4] == image[0, 0] == 7
    assert decoder.times == {7: 1}


def test_what_was_read_longest_ago_makes_room():
    decoder = Decoder()
    images = [decoder.image(n) for n in range(4)]
    for n in (0, 1, 2, 0, 3, 0, 2, 3, 1):
        assert images[n][0, 0] == n
    # Image 3 drove out 1, which had not been read since 0 was read again; 1 then came back.
    assert decoder.times == {0: 1, 1: 2, 2: 1, 3: 1}


def test_what_nobody_holds_any_more_takes_no_room():
    decoder = Decoder()
    kept = decoder.image(0)
    assert kept[0, 0] == 0
    for n in range(1, 10):
        assert decoder.image(n)[0, 0] == n
    assert kept[0, 0] == 0 and decoder.times[0] == 1


def test_an_image_larger_than_the_room_is_kept_while_it_is_the_only_one():
    decoder, times = Decoder(), []
    large = Deferred((1000,), np.dtype(np.uint8), lambda: times.append(1) or np.zeros(1000, np.uint8))
    for _ in range(3):
        assert large[5] == 0
    assert len(times) == 1
    small = decoder.image(1)
    assert small[0, 0] == 1 and large[5] == 0
    assert len(times) == 2


def test_pictures_and_compressed_slices_share_the_room(tmp_path):
    planes = np.random.default_rng(0).integers(0, 256, (9, 10, 10), dtype=np.uint8)
    for n, plane in enumerate(planes):
        Image.fromarray(plane).save(tmp_path / f"{n}.png")
    volume, picture = open_volume(tmp_path), open_volume(tmp_path / "4.png")
    for _ in range(2):
        np.testing.assert_array_equal(volume.read()[0], planes)
        np.testing.assert_array_equal(picture.read()[0], planes[4])
        gc.collect()
        assert sum(deferred._kept.values()) <= 300
    volume.close()
    picture.close()
    gc.collect()
    assert len(deferred._kept) == 0
