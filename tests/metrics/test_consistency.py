from __future__ import annotations

import numpy as np
import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.metrics import (
    Consistency,
    ContrastCorrelation,
    DownsamplingError,
    contrast_correlation,
    downsampling_error,
)


def noise(*shape: int) -> torch.Tensor:
    """Return standard normal greys."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def repeated(image: torch.Tensor, scale: int) -> torch.Tensor:
    """Return each voxel ``scale`` times per axis."""
    for axis in range(2, image.ndim):
        image = image.repeat_interleave(scale, axis)
    return image


@pytest.mark.parametrize("shape", [(2, 1, 12, 10), (2, 2, 6, 5, 4)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_details_below_the_voxels_of_the_input_are_free(shape, scale):
    image = noise(*shape)
    details = noise(*shape[:2], *(scale * side for side in shape[2:]))
    axes = list(range(2, len(shape)))
    cells = details.reshape(*shape[:2], *(n for side in shape[2:] for n in (side, scale)))
    mean = cells.mean([2 * axis - 1 for axis in axes], keepdim=True).expand_as(cells).reshape_as(details)
    pred = repeated(image, scale) + 5 * (details - mean)
    assert downsampling_error(pred, image).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert contrast_correlation(pred, image).tolist() == pytest.approx([1, 1])
    # The other way round the input is the finer one.
    assert downsampling_error(image, pred).tolist() == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize(("gain", "offset"), [(1, 0.7), (3, -2), (-1, 0), (0, 0)])
def test_changed_greys_are_an_error_in_standard_deviations(gain, offset):
    image = noise(1, 1, 20, 20)
    pred = repeated(gain * image + offset, 2)
    values = image.double().numpy()
    expected = np.sqrt(np.mean(((gain - 1) * values + offset) ** 2)) / values.std()
    assert downsampling_error(pred, image).item() == pytest.approx(expected)


@pytest.mark.parametrize(("gain", "expected"), [(0.3, 1), (-2, -1)])
def test_inverted_contrast_is_negative_whatever_the_greys(gain, expected):
    image = noise(1, 1, 20, 20)
    assert contrast_correlation(repeated(gain * image + 4, 2), image).item() == pytest.approx(expected)


def test_correlation_is_that_of_numpy():
    pred, image = noise(3, 1, 8, 9), 100 + noise(1, 3, 1, 8, 9)[0]
    expected = [np.corrcoef(p.flatten().numpy(), i.flatten().numpy())[0, 1] for p, i in zip(pred, image, strict=True)]
    assert contrast_correlation(pred, image).tolist() == pytest.approx(expected, abs=1e-5)


def test_another_rock_of_the_same_greys_is_unrelated():
    pred, image = noise(1, 1, 100, 100), noise(1, 1, 1, 100, 100)[0]
    assert downsampling_error(pred, image).item() == pytest.approx(2**0.5, abs=0.03)
    assert abs(contrast_correlation(pred, image).item()) < 2 / 100


def test_pieces_of_a_volume_count_as_one_image():
    image = noise(1, 1, 8, 6, 4)
    pred = -3 * repeated(image, 2) + 1
    pred[..., :4] += 2
    whole, parts = Consistency(), [Consistency(), Consistency()]
    for part, fine, coarse in zip(parts, pred.split(6, 2), image.split(3, 2), strict=False):
        part.add(fine, coarse)
    parts[0].add(pred[:, :, 12:], image[:, :, 6:])
    for part in parts:
        whole.merge(part)
    small = torch.nn.functional.avg_pool3d(pred, 2).double()
    expected = np.corrcoef(small.flatten(), image.flatten())[0, 1]
    assert whole.correlation == pytest.approx(expected, abs=1e-6)
    assert whole.error == pytest.approx(
        float((small - image).square().mean().sqrt() / image.std(correction=0)), rel=1e-5
    )


@pytest.mark.parametrize("grey", [0.0, 0.1, -1.0])
def test_one_grey_has_no_contrast(grey):
    image, flat = noise(1, 1, 9, 9), torch.full((1, 1, 9, 9), grey)
    assert contrast_correlation(flat, image).isnan().all() and contrast_correlation(image, flat).isnan().all()
    assert downsampling_error(image, flat).isnan().all() and downsampling_error(flat, image).isfinite().all()


@pytest.mark.parametrize("metric", [DownsamplingError, ContrastCorrelation])
def test_images_of_one_grey_do_not_count(metric):
    judged, image = metric(), noise(2, 1, 8, 8)
    judged.update([2 * image, image])
    alone = judged.metric_fn.aggregate().item()
    judged.update([image[:1], torch.full((1, 1, 8, 8), 0.1)])
    assert judged.metric_fn.aggregate().item() == alone


@pytest.mark.parametrize("metric", [DownsamplingError, ContrastCorrelation])
def test_metrics_compare_the_prediction_with_its_input(metric):
    judged = metric()
    assert judged.keys == ("pred", "image")
    image = noise(2, 1, 8, 8)
    judged.update([repeated(-image, 2), image])
    function = {DownsamplingError: downsampling_error, ContrastCorrelation: contrast_correlation}[metric]
    assert judged.metric_fn.aggregate().item() == pytest.approx(function(repeated(-image, 2), image).mean().item())


@pytest.mark.parametrize("shape", [(1, 1, 12, 9), (1, 2, 16, 16), (2, 1, 16, 16), (1, 1, 16, 16, 16)])
def test_images_that_do_not_lie_in_each_other_are_refused(shape):
    with pytest.raises(DataError, match="no whole number of times as fine as its input"):
        downsampling_error(torch.zeros(shape), torch.zeros(1, 1, 8, 8))
