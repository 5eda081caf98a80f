import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from rockmonai.transforms import RandSymmetryd, symmetries, transformed


@pytest.mark.parametrize(("shape", "count"), [((4, 4), 8), ((4, 4, 4), 48), ((2, 4, 4), 16), ((2, 3, 4), 8)])
def test_the_group_has_its_size_and_all_its_elements_differ(shape, count):
    x = torch.arange(np.prod(shape)).reshape(1, *shape)
    images = {tuple(transformed(x, symmetry).flatten().tolist()) for symmetry in symmetries([shape])}
    assert len(images) == count


def test_the_symmetries_of_the_square_are_numpys_turns_and_flips():
    x = np.arange(9).reshape(3, 3)
    expected = {np.rot90(y, k).tobytes() for y in (x, x[:, ::-1]) for k in range(4)}
    ours = {transformed(torch.from_numpy(x)[None], symmetry).numpy().tobytes() for symmetry in symmetries([(3, 3)])}
    assert ours == expected


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 3)])
def test_every_symmetry_is_undone_by_its_inverse(shape):
    x = torch.rand(2, *shape)
    for symmetry in symmetries([shape]):
        assert torch.equal(transformed(transformed(x, symmetry), symmetry.inverse()), x)


@pytest.mark.parametrize("ndim", [2, 3])
def test_pairs_of_different_size_never_desynchronise(ndim):
    image = torch.rand(1, *(5,) * ndim)
    label = image
    for axis in range(1, ndim + 1):
        label = label.repeat_interleave(3, axis)
    transform = RandSymmetryd(["image", "label"])
    transform.set_random_state(0)
    drawn = set()
    for _ in range(300):
        pair = transform({"image": image, "label": label})
        assert torch.equal(pair["label"][(slice(None), *[slice(None, None, 3)] * ndim)], pair["image"])
        drawn.add(pair["image"].numpy().tobytes())
    assert len(drawn) == {2: 8, 3: 48}[ndim]


def test_axes_whose_scale_differs_are_not_exchanged():
    image, label = torch.rand(1, 8, 2, 2), torch.rand(1, 8, 8, 8)
    transform = RandSymmetryd(["image", "label"])
    for seed in range(30):
        pair = transform.set_random_state(seed)({"image": image, "label": label})
        assert pair["image"].shape == image.shape


def test_flips_only_keeps_the_axes():
    assert {symmetry.axes for symmetry in symmetries([(4, 4, 4)], flips_only=True)} == {(0, 1, 2)}
    assert len(symmetries([(4, 4, 4)], flips_only=True)) == 8


def test_raw_greys_of_16_bits_are_turned():
    x = torch.from_numpy(np.arange(9, dtype=np.uint16).reshape(1, 3, 3))
    transform = RandSymmetryd("x")
    for seed in range(10):
        assert sorted(transform.set_random_state(seed)({"x": x})["x"].flatten().tolist()) == [*range(9)]


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 3)])
def test_a_metatensor_is_restored_with_its_affine(shape):
    affine = np.diag([*(2.0, 3.0, 5.0)[: len(shape)], 1.0])
    x = MetaTensor(torch.rand(1, *shape), affine=affine)
    transform = Compose([RandSymmetryd("x")])
    for seed in range(20):
        turned = transform.set_random_state(seed)({"x": x})
        restored = transform.inverse(turned)["x"]
        assert torch.equal(restored.as_tensor(), x.as_tensor())
        torch.testing.assert_close(restored.affine, x.affine)
        # A voxel keeps its place in the world.
        place = turned["x"].affine @ torch.tensor([0.0] * len(shape) + [1.0], dtype=torch.float64)
        index = tuple((torch.linalg.inv(x.affine) @ place)[: len(shape)].round().int().tolist())
        assert turned["x"][(0, *[0] * len(shape))] == x[(0, *index)]
