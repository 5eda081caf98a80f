"""Turned, magnified and bent windows, compared with SciPy and with what must not change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from rockmonai.errors import DataError, NoWindow
from rockmonai.transforms import MinFraction, RandSimilarityCropd, sampled


def crop(patch, dims=2, seed=0, **options):
    made = RandSimilarityCropd(["image", "label"], patch, dims, nearest="label", **options)
    return made.set_random_state(seed)


def smooth(shape):
    """A picture that linear interpolation follows closely: long waves."""
    places = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    return sum(np.sin(axis / (9 + k)) for k, axis in enumerate(places)).astype(np.float32)[None]


@pytest.mark.parametrize("shape", [(13, 17), (7, 9, 11)])
@pytest.mark.parametrize("nearest", [True, False])
def test_samples_are_those_of_scipy(shape, nearest):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (1, *shape)).astype(np.float32)
    # Linear interpolation of torch and SciPy agree where all neighbours are in the picture.
    places = rng.uniform(0.6, np.array(shape) - 1.6, (50, *(1,) * (len(shape) - 1), len(shape))).astype(np.float32)
    found = sampled(torch.from_numpy(x), torch.from_numpy(places), nearest)
    expected = map_coordinates(x[0], np.moveaxis(places, -1, 0), order=0 if nearest else 1)
    np.testing.assert_allclose(found[0], expected, atol=2e-3)


def test_without_turn_and_zoom_a_window_of_even_side_lies_between_voxels_at_most():
    record = {"image": torch.arange(40.0).expand(1, 30, 40), "label": torch.zeros(1, 30, 40, dtype=torch.int64)}
    cut = crop(8, turn=False)(record)
    assert cut["image"].shape == (1, 8, 8) and cut["label"].dtype == torch.int64
    torch.testing.assert_close(cut["image"].diff(dim=-1), torch.ones(1, 8, 7))


@pytest.mark.parametrize(("dims", "shape"), [(2, (90, 110)), (3, (50, 52, 54))])
@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
def test_lengths_in_the_window_are_those_of_the_picture_times_the_zoom(dims, shape, zoom):
    """A slope of 1 a voxel becomes 1 / zoom, in whatever direction it then lies."""
    slope = torch.arange(shape[-1]).float().expand(1, *shape).contiguous()
    record = {"image": slope, "label": slope.round().long()}
    for seed in range(5):
        cut = crop(9, dims, seed, zoom=(zoom, zoom))(record)
        gradients = [cut["image"][0].diff(dim=axis).mean() for axis in range(dims)]
        assert float(torch.stack(gradients).norm()) == pytest.approx(1 / zoom, rel=2e-3)
        # The classes went the same way: they are the slope, rounded.
        assert float((cut["image"] - cut["label"]).abs().max()) <= 1.0 + 1e-3


def test_an_image_of_larger_pixels_is_magnified_by_its_own_factor():
    slope = torch.arange(60).float().expand(1, 60, 60).contiguous()
    record = {"image": slope, "label": slope.long(), "magnification": 2.5}
    cut = crop(16, turn=False)(record)
    torch.testing.assert_close(cut["image"].diff(dim=-1), torch.full((1, 16, 15), 0.4))
    assert "magnification" not in cut


def test_every_direction_and_its_mirror_image_come_up_evenly():
    made = crop(8)
    turns, mirrored = [], 0
    for _ in range(2000):
        made.randomize([(0, 100), (0, 100)])
        mirrored += np.linalg.det(made.directions) < 0
        turns.append(np.arctan2(made.directions[1, 0], made.directions[0, 0]))
        np.testing.assert_allclose(made.directions @ made.directions.T, np.eye(2), atol=1e-12)
    assert 900 < mirrored < 1100
    assert np.histogram(turns, 8, (-np.pi, np.pi))[0].min() > 200  # 250 expected, standard deviation 15


def test_uint8_greys_and_regions_stay_what_they_are():
    image = torch.full((1, 60, 60), 9, dtype=torch.uint8)
    image[:, :40] = 200
    record = {"image": image, "label": image.long(), "roi": [[0, 40], [0, 60]], "name": "rock"}
    for seed in range(10):
        cut = crop(32, seed=seed, zoom=(0.5, 0.5), bend=2.0)(record)
        assert cut["image"].dtype == torch.uint8 and (cut["image"] == 200).all() and (cut["label"] == 200).all()
        assert "roi" not in cut and cut["name"] == "rock"


def test_a_window_larger_than_the_picture_is_mirrored():
    image = torch.from_numpy(smooth((20, 20)))
    cut = crop(32, turn=False)({"image": image, "label": image.long()})
    np.testing.assert_allclose(cut["image"], np.pad(image, [(0, 0), (6, 6), (6, 6)], mode="symmetric"), atol=1e-4)


@pytest.mark.parametrize(
    ("dims", "zoom", "spread"), [(2, 0.5, 0.5), (2, 0.34, 0.5), (2, 0.3, 1 / 3), (3, 0.5, 0.5**1.5)]
)
def test_noise_of_a_reduced_picture_averages_as_coarser_voxels_do(dims, zoom, spread):
    """The mean of n voxels varies by the root of n less; half-way between two of them by the root of 2 less again."""
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, *(400, 80)[dims - 2 :][:1] * dims)))
    record = {"image": noise.float(), "label": torch.zeros_like(noise, dtype=torch.int64)}
    reduced = crop(24 if dims == 2 else 12, dims, zoom=(zoom, zoom), turn=False)(record)["image"]
    assert 0.9 * spread * 0.5 ** (dims / 2) < float(reduced.std()) < 1.1 * spread


def test_a_bend_moves_voxels_by_about_what_is_asked():
    slope = torch.arange(200.0).expand(1, 200, 200).contiguous()
    straight, bent = (crop(48, turn=False, bend=bend)({"image": slope, "label": slope.long()}) for bend in (0.0, 2.0))
    moved = bent["image"] - straight["image"]
    assert 0.8 < float(moved.std()) < 2.5  # two between nodes is less than two at the nodes


def test_a_slice_of_a_volume_is_the_same_for_all_keys():
    volume = torch.arange(12).reshape(1, 12, 1, 1).expand(1, 12, 30, 30).contiguous()
    cut = crop(8, 2)({"image": volume.float(), "label": volume})
    assert cut["image"].shape == (1, 8, 8)
    assert torch.equal(cut["image"].round().long(), cut["label"]) and len(cut["label"].unique()) == 1


def test_rules_are_met_or_the_file_is_named():
    label = torch.zeros(1, 64, 64, dtype=torch.int64)
    label[:, 30:40, 30:40] = 1
    record = {"image": label.float(), "label": label}
    rule = MinFraction(0.05, positive="label")
    for seed in range(5):
        cut = crop(16, seed=seed, accept=[rule], zoom=(0.7, 1.4))(record)
        assert float((cut["label"] > 0).float().mean()) >= 0.05
    with pytest.raises(NoWindow, match="'image' was accepted in 100 tries"):
        crop(16, accept=[rule])({key: torch.zeros_like(value) for key, value in record.items()})


def test_keys_on_different_grids_are_refused():
    with pytest.raises(DataError, match="one grid"):
        crop(8)({"image": torch.zeros(1, 32, 32), "label": torch.zeros(1, 64, 64)})
