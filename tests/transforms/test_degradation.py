import pickle

import numpy as np
import pytest
import torch
from monai.transforms import Compose
from PIL import Image
from scipy.ndimage import gaussian_filter

from rockmonai.errors import DataError, UsageError
from rockmonai.transforms import Degraded


def record(*shape):
    label = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return {"image": label.clone(), "label": label}


@pytest.mark.parametrize("preset", ["area", "bicubic", "nearest", "scan"])
@pytest.mark.parametrize("shape", [(24, 32), (12, 16, 20)])
def test_every_preset_divides_the_size_by_the_scale(preset, shape):
    pair = record(*shape)
    low = Degraded("image", 4, preset)(pair)
    assert low["image"].shape == (1, *[n // 4 for n in shape])
    assert low["label"] is pair["label"]
    assert low["image"].dtype == torch.float32


def test_a_measured_image_stays_as_it_is_with_every_preset():
    pair = {**record(16, 16), "image": torch.rand(1, 4, 4)}
    for preset in ("area", "bicubic", "nearest", "scan", "semsr", "semsr_random"):
        assert Degraded("image", 4, preset)(pair)["image"] is pair["image"]


def test_semsr_is_shrink_blur_enlarge_grey_and_nearest():
    pair = record(64, 48)
    pair["semantic"] = torch.randint(0, 4, (1, 64, 48), dtype=torch.uint8)
    low = Degraded("image", 4, "semsr")(pair)["image"][0].numpy()

    image = Image.fromarray(pair["image"][0].numpy())
    small = np.asarray(image.resize((12, 16), Image.Resampling.BICUBIC))
    enlarged = np.asarray(Image.fromarray(gaussian_filter(small, 1.2)).resize((48, 64), Image.Resampling.BICUBIC))
    gain = np.array([1.0, 1.17, 0.7, 1.0])[pair["semantic"][0].numpy()]
    expected = np.clip((enlarged + 1) / 2 * gain, 0, 1) * 2 - 1
    np.testing.assert_allclose(low, expected[2::4, 2::4], atol=1e-5)


@pytest.mark.parametrize("preset", ["semsr", "semsr_random"])
def test_semsr_wants_a_class_map(preset):
    with pytest.raises(DataError, match="no class map 'semantic' for the class-dependent greys of 'image'"):
        Degraded("image", 4, preset)(record(16, 16))


@pytest.mark.parametrize("shape", [(48, 64), (16, 20, 24)])
def test_semsr_random_divides_the_size_by_the_scale(shape):
    pair = {**record(*shape), "semantic": torch.zeros(1, *shape, dtype=torch.uint8)}
    low = Degraded("image", 4, "semsr_random")(pair)
    assert low["image"].shape == (1, *[n // 4 for n in shape])
    assert -1 <= low["image"].min() <= low["image"].max() <= 1
    assert low["label"] is pair["label"]


def test_semsr_random_draws_around_semsr():
    # Flat classes, far from black and white: blur changes nothing inside them, and the gain is what is left.
    classes = torch.arange(4).repeat_interleave(128).repeat(64, 1)[None]
    grey = torch.zeros(1, 64, 512)
    transform = Degraded("image", 4, "semsr_random")
    gains, noises = [], []
    for seed in range(60):
        image = transform.set_random_state(seed)({"image": grey, "label": grey, "semantic": classes})["image"][0]
        inside = torch.stack([image[:, 32 * k + 8 : 32 * k + 24] for k in range(4)]) + 1
        gains.append(inside.mean((1, 2)))
        noises.append(inside.std((1, 2)).max() / 2)
    relative = torch.stack(gains) / torch.tensor([1.0, 1.17, 0.7, 1.0])
    assert 0.895 < relative.min() < 0.91 and 1.09 < relative.max() < 1.105
    torch.testing.assert_close(relative.mean(0), torch.ones(4), atol=0.02, rtol=0)
    assert 0 < min(noises) < 0.01 < 0.02 < max(noises) < 0.033


@pytest.mark.parametrize("preset", ["scan", "semsr_random"])
def test_a_random_preset_differs_from_draw_to_draw_and_repeats_with_the_seed(preset):
    pair = {**record(32, 32), "semantic": torch.ones(1, 32, 32)}
    transform = Compose([Degraded("image", 2, preset)])
    copy = pickle.loads(pickle.dumps(transform))
    draws = [transform.set_random_state(seed)(pair)["image"] for seed in range(4)]
    again = [copy.set_random_state(seed)(pair)["image"] for seed in range(4)]
    assert all(torch.equal(a, b) for a, b in zip(draws, again, strict=True))
    assert not torch.equal(draws[0], draws[1])


def test_a_misspelt_preset_is_answered_with_the_nearest_one():
    with pytest.raises(UsageError, match="did you mean 'bicubic'"):
        Degraded("image", 4, "bicubik")


def test_lazy_compose_gives_the_same():
    pair = record(16, 16)
    eager, lazy = (Compose([Degraded("image", 4)], lazy=lazy)(pair)["image"] for lazy in (False, True))
    assert torch.equal(eager, lazy)
