from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="linear discriminant analysis is scikit-learn's")

from benchmarks import shale_baselines as baselines


@pytest.fixture
def shale(real_data):
    folder = real_data / "shale_sem"
    if not folder.is_dir():
        pytest.skip(f"no shale in {folder}")
    return folder


@pytest.mark.parametrize(
    ("info_bar", "grey", "train", "test"),
    # The published code reads colours, of which the scale bar in the info bar has some: its authors round to 0.22.
    [(0, "keep", 0.2453, 0.2236), (0, "index", 0.2545, 0.2271), (80, "keep", 0.5482, 0.4615)],
)
def test_linear_discriminant_analysis_scores_what_it_does_elsewhere(shale, info_bar, grey, train, test):
    sets = [baselines.read(shale, split, info_bar, grey, exact=True) for split in ("train", "test")]
    found = [scores[-1] for scores in baselines.discriminant(sets[0], *sets)]
    assert found == pytest.approx([train, test], abs=1e-4)


@pytest.mark.parametrize(("info_bar", "expected"), [(0, 0.2025), (80, 0.1993)])
def test_nothing_but_mineral_scores_a_quarter_of_its_share(shale, info_bar, expected):
    images = baselines.read(shale, "test", info_bar, exact=True)
    found = baselines.mineral(images)
    assert found[-1] == pytest.approx(expected, abs=1e-4)
    assert found[-1] == pytest.approx((baselines.pooled(images, "label") == 0).mean() / 4, abs=1e-6)


def test_without_the_info_bar_the_three_channels_are_one(shale):
    for split in ("train", "test"):
        colours = baselines.pooled(baselines.read(shale, split, 80, "keep"), "image")
        assert (colours == colours[:, :1]).all()
        assert np.array_equal(colours[:, :1], baselines.pooled(baselines.read(shale, split, 80), "image"))


def test_no_window_of_greys_is_better_than_the_best(shale):
    images = baselines.read(shale, "test", 80)
    greys, label = (baselines.pooled(images, key).ravel() for key in ("image", "label"))
    for number, (share, low, high) in enumerate(baselines.windows(images)):
        for first, last in [(low, high), *np.random.default_rng(number).integers(0, 256, (8, 2))]:
            inside = (first <= greys) & (greys <= last)
            jaccard = (inside & (label == number)).sum() / (inside | (label == number)).sum()
            assert jaccard == pytest.approx(share) if (first, last) == (low, high) else jaccard <= share
