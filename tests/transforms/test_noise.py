import numpy as np
import pytest
import torch

from rockmonai.transforms import RandNoised, noise


def spread(kind, brightness, level):
    grey = torch.full((1, 400, 400), 2 * brightness - 1)
    noisy = (noise(grey, kind, level, np.random.default_rng(0)) + 1) / 2
    return noisy.mean().item(), noisy.std().item()


@pytest.mark.parametrize("brightness", [0.25, 0.5, 0.75])
def test_noise_has_the_mean_and_spread_of_its_theory(brightness):
    level = 0.05
    expected = {"gaussian": level, "poisson": level * brightness**0.5, "speckle": level * brightness}
    for kind, std in expected.items():
        mean, measured = spread(kind, brightness, level)
        assert mean == pytest.approx(brightness, abs=5e-4), kind
        assert measured == pytest.approx(std, rel=0.02), kind


def test_poisson_noise_comes_in_whole_counts():
    image = torch.rand(1, 50, 50) * 2 - 1
    counts = (noise(image, "poisson", 0.1, np.random.default_rng(0)) + 1) / 2 * 100
    torch.testing.assert_close(counts, counts.round(), atol=1e-3, rtol=0)


def test_noise_saturates_at_black_and_white():
    image = torch.cat([torch.full((1, 8, 8), -1.0), torch.full((1, 8, 8), 1.0)])
    noisy = noise(image, "gaussian", 0.5, np.random.default_rng(0))
    assert noisy.min() == -1 and noisy.max() == 1


def test_no_level_changes_nothing():
    image = torch.rand(1, 8, 8)
    assert torch.equal(noise(image, "poisson", 0.0, np.random.default_rng(0)), image)


def test_keys_share_the_kind_and_level_but_not_the_noise():
    grey = torch.zeros(1, 200, 200)
    transform = RandNoised(["a", "b"], kinds="gaussian", level=(0.02, 0.2))
    transform.set_random_state(3)
    noisy = transform({"a": grey, "b": grey})
    assert not torch.equal(noisy["a"], noisy["b"])
    assert noisy["a"].std().item() == pytest.approx(noisy["b"].std().item(), rel=0.03)


def test_a_seed_repeats_the_noise():
    grey = {"image": torch.zeros(1, 8, 8, 8)}
    transform = RandNoised("image")
    draws = [transform.set_random_state(seed)(grey)["image"] for seed in (5, 5, 6)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
