from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.feature import graycomatrix

from rockmonai.errors import DataError, UsageError
from rockmonai.losses import TextureLoss, cooccurrence, texture_loss

DIAGONAL = 2**0.5
# (rows, columns) of the offsets as scikit-image measures them: an angle and a length.
ANGLES = {(0, 1): (0, 1), (1, 1): (np.pi / 4, DIAGONAL), (1, 0): (np.pi / 2, 1), (1, -1): (3 * np.pi / 4, DIAGONAL)}


def greys(codes, levels):
    """The grey levels of these codes, in [-1, 1]."""
    return torch.from_numpy(codes).float() / (levels - 1) * 2 - 1


@pytest.mark.parametrize("levels", [5, 16])
def test_at_the_levels_the_matrices_of_an_image_are_scikit_images(levels):
    codes = np.random.default_rng(0).integers(0, levels, (2, 1, 13, 17)).astype(np.uint8)
    codes[1] = np.sort(codes[1])
    found = cooccurrence(greys(codes, levels), levels, distances=(1, 3)).numpy()
    assert found.shape == (2, 1, 8, levels, levels)
    for image, matrices in zip(codes[:, 0], found[:, 0], strict=True):
        for number, (distance, direction) in enumerate((d, o) for d in (1, 3) for o in sorted(ANGLES)):
            angle, length = ANGLES[direction]
            oracle = graycomatrix(image, [distance * length], [angle], levels, symmetric=True, normed=True)
            np.testing.assert_allclose(matrices[number], oracle[:, :, 0, 0], atol=1e-6)


def test_a_volume_has_thirteen_directions():
    codes = np.random.default_rng(0).integers(0, 4, (6, 7, 8))
    found = cooccurrence(greys(codes, 4)[None, None], levels=4, distances=(2,))[0, 0].numpy()
    expected = []
    for step in np.ndindex(3, 3, 3):
        offset = 2 * (np.array(step) - 1)
        if tuple(offset) > (0, 0, 0):
            first, second = (
                codes[tuple(slice(max(0, s * o), n + min(0, s * o)) for o, n in zip(offset, codes.shape, strict=True))]
                for s in (-1, 1)
            )
            pairs = np.histogram2d(first.ravel(), second.ravel(), bins=4, range=[(-0.5, 3.5)] * 2)[0]
            expected.append((pairs + pairs.T) / (2 * first.size))
    assert len(expected) == 13
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_grey_between_two_levels_counts_as_both():
    quarter = greys(np.full((1, 1, 4, 4), 1.25), 4)  # three parts of level 1, one of level 2
    expected = np.zeros((4, 4))
    expected[1:3, 1:3] = np.outer([0.75, 0.25], [0.75, 0.25])
    for matrix in cooccurrence(quarter, levels=4)[0, 0]:
        np.testing.assert_allclose(matrix, expected, atol=1e-6)


def test_the_loss_is_the_mean_difference_of_cumulated_matrices():
    codes = np.random.default_rng(0).integers(0, 8, (2, 13, 17)).astype(np.uint8)
    codes[1] = np.sort(codes[1])
    cumulated = []
    for image in codes:
        pairs = [
            graycomatrix(image, [length], [angle], 8, symmetric=True, normed=True)[:, :, 0, 0]
            for angle, length in ANGLES.values()
        ]
        cumulated.append(np.cumsum(np.cumsum(pairs, 1), 2))
    expected = np.abs(cumulated[0] - cumulated[1]).sum((1, 2)).mean() / (8 * 8 - 1)
    found = texture_loss(*greys(codes, 8)[:, None, None], levels=8, distances=(1,))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_grows_from_0_to_1_with_the_distance_of_greys():
    black, white = torch.full((1, 1, 8, 8), -1.0), torch.full((1, 1, 8, 8), 1.0)
    loss = TextureLoss()
    assert loss(black, black).item() == 0
    assert loss(black, white).item() == pytest.approx(1)
    # Cumulated matrices of flat images are steps: 16 levels lie at or above black, 8 at or above level 8.
    assert loss(black, greys(np.full((1, 1, 8, 8), 8), 16)).item() == pytest.approx((16**2 - 8**2) / (16**2 - 1))
    half = torch.cat([black, white])
    assert loss(half, white.expand(2, -1, -1, -1)).item() == pytest.approx(1 / 2)
    assert loss(3 * black, black).item() == 0  # a detector saturates


@pytest.mark.parametrize("shape", [(48, 48), (16, 16, 16)])
def test_blurring_a_texture_costs_more_than_moving_it(shape):
    rough = gaussian_filter(np.random.default_rng(0).standard_normal(shape), 0.7)
    label = torch.from_numpy(rough / np.abs(rough).max()).float()[None, None]
    blurred = torch.from_numpy(gaussian_filter(label.numpy(), (0, 0, *[1.0] * len(shape))))
    moved = label.roll([5] * len(shape), list(range(2, label.ndim)))
    assert texture_loss(blurred, label) > 4 * texture_loss(moved, label)
    assert (blurred - label).abs().mean() < (moved - label).abs().mean()


@pytest.mark.parametrize("shape", [(32, 32), (12, 12, 12)])
@pytest.mark.parametrize(
    "flat", [0.0, 0.2, -1.0, 1.0, None], ids=["between levels", "at one", "black", "white", "blurred"]
)
def test_a_prediction_without_texture_is_drawn_to_it(shape, flat):
    noise = np.random.default_rng(0).normal(0, 0.35, shape).clip(-1, 1)
    label = torch.from_numpy(noise).float()[None, None]
    blurred = torch.from_numpy(gaussian_filter(noise, 1)).float()[None, None]
    pred = blurred if flat is None else torch.full_like(label, flat)
    spread = pred.std()
    for step in range(5):
        pred.requires_grad_()
        (gradient,) = torch.autograd.grad(texture_loss(pred, label), pred)
        if step == 0:
            assert (gradient != 0).float().mean() > 0.95
        pred = (pred - 0.01 * pred.numel() * gradient).detach()
    assert pred.std() > spread


def test_the_gradient_is_right():
    generator = torch.Generator().manual_seed(0)
    between, above, label = torch.rand(3, 2, 1, 4, 5, dtype=torch.float64, generator=generator)
    level = (3 * between).floor() + 0.2 + 0.6 * above  # away from the levels, where the slope changes
    pred, label = (level / 3 * 2 - 1).requires_grad_(), label * 2 - 1
    assert torch.autograd.gradcheck(lambda x: texture_loss(x, label, levels=4, distances=(1, 2)), pred)


def test_under_autocast_it_counts_in_full_precision():
    generator = torch.Generator().manual_seed(0)
    pred, label = (torch.rand(2, 1, 1, 20, 20, generator=generator) * 2 - 1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = texture_loss(pred, label)
    assert loss.dtype == torch.float32
    assert loss.item() == texture_loss(pred.float(), label.float()).item()


@pytest.mark.parametrize("options", [{"levels": 1}, {"distances": (0, 1)}, {"distances": ()}])
def test_what_makes_no_matrix_is_refused(options):
    with pytest.raises(UsageError, match="2 or more levels and distances of 1 voxel"):
        texture_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), **options)


def test_images_too_small_or_unequal_are_refused():
    with pytest.raises(DataError, match="2 apart do not exist"):
        texture_loss(torch.zeros(1, 1, 2, 8), torch.zeros(1, 1, 2, 8))
    with pytest.raises(DataError, match="of one shape"):
        texture_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))
