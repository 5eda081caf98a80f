from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from rockmonai.errors import DataError
from rockmonai.metrics import PhaseNoise, phase_noise


def blurred_step(*sides: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an image of two greys with a wide edge between them, and its class map."""
    classes = np.zeros(sides, np.uint8)
    classes[..., sides[-1] // 3 :] = 2
    image = ndimage.gaussian_filter(classes.astype(np.float32) * 0.4, 1.0)
    return torch.from_numpy(image)[None, None], torch.from_numpy(classes)[None, None]


@pytest.mark.parametrize("sides", [(120, 150), (24, 30, 60)])
@pytest.mark.parametrize("sigma", [0.05, 0.3])
def test_noise_of_known_strength_is_found(sides, sigma):
    image, classes = blurred_step(*sides)
    image = image + sigma * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    assert phase_noise(image, classes, 2, margin=4).item() == pytest.approx(sigma, rel=0.03)
    assert phase_noise(image, classes, 0, margin=4).item() == pytest.approx(sigma, rel=0.03)


def test_an_edge_is_kept_away_from():
    image, classes = blurred_step(30, 60)
    widths = [phase_noise(image, classes, 2, margin).item() for margin in (0, 2, 4)]
    assert widths[0] > 0.01 > widths[1] > 1e-4 > widths[2]


@pytest.mark.parametrize("margin", [0, 1, 3])
def test_voxels_are_those_of_an_eroded_mask(margin):
    generator = np.random.default_rng(0)
    greys = generator.normal(5, 1, (2, 20, 24, 22))
    mask = ndimage.gaussian_filter(generator.normal(size=(20, 24, 22)), 3) > 0
    mask[-5:] = True  # the border is no boundary
    cube = np.ones((2 * margin + 1,) * 3)
    inside = ndimage.binary_erosion(mask, cube, border_value=1)
    expected = np.sqrt(np.mean([channel[inside].var() for channel in greys]))
    label = torch.from_numpy(mask)[None, None]
    assert phase_noise(torch.from_numpy(greys)[None], label, 1, margin).item() == pytest.approx(expected, rel=1e-6)


def test_images_without_the_class_are_left_out_of_the_mean():
    image, classes = blurred_step(30, 60)
    image = image + 0.1 * torch.randn(2, 1, 30, 60, generator=torch.Generator().manual_seed(0))
    both = torch.cat([classes, torch.zeros_like(classes)])
    metric = PhaseNoise(2, margin=4)
    assert metric.keys == ("pred", "semantic")
    metric.update([image, both])
    assert metric.metric_fn.aggregate().item() == pytest.approx(image[0, 0, :, 24:].std(correction=0).item(), rel=1e-5)


def test_a_class_map_of_another_grid_is_refused():
    with pytest.raises(DataError, match="must be"):
        phase_noise(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4), 1)
