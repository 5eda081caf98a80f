from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.errors import DataError, UsageError
from rockmonai.inferers.slicewise import Orthogonal, Slicewise, from_slices, to_slices
from rockmonai.networks import SRResNet


def network(scale=1):
    torch.manual_seed(0)
    return SRResNet(
        width=4, blocks=1, scale=scale, norm=None, upsampling="direct", head_kernel=3, tail_kernel=3, init="kaiming"
    ).eval()


class Isotropic(nn.Module):
    """A blur and a nearest upsampling that look the same from all sides."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        kernel = torch.tensor([1.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 1.0])) / 25
        self.blur = nn.Conv2d(1, 1, 3, padding=1)
        self.blur.weight = nn.Parameter(kernel[None, None])
        self.up = nn.Upsample(scale_factor=scale)

    def forward(self, image):
        return self.up(self.blur(image).tanh())


def greyed():
    return nn.Sequential(nn.Conv2d(3, 1, 1), nn.Upsample(scale_factor=2))


def repeated(volume, factor):
    for axis in (2, 3, 4):
        volume = volume.repeat_interleave(factor, axis)
    return volume


@pytest.fixture
def volume():
    return torch.rand(2, 1, 5, 6, 7, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("batch", [1, 4, 100])
@torch.no_grad()
def test_each_slice_is_what_the_network_makes_of_it_alone(volume, scale, batch):
    net = network(scale)
    along = {axis: Slicewise(net, axis, batch)(volume) for axis in "zyx"}
    z, y, x = (side * scale for side in volume.shape[2:])
    assert [tuple(pred.shape[2:]) for pred in along.values()] == [(5, y, x), (z, 6, x), (z, y, 7)]
    for item in range(2):
        for i in range(5):
            torch.testing.assert_close(along["z"][item, :, i], net(volume[item, :, i][None])[0])
            torch.testing.assert_close(along["y"][item, :, :, i], net(volume[item, :, :, i][None])[0])
            torch.testing.assert_close(along["x"][item, :, :, :, i], net(volume[item, :, :, :, i][None])[0])


def test_no_more_than_a_batch_of_slices_goes_through_at_once(volume):
    seen = []
    net = network()
    net.register_forward_hook(lambda _, given, made: seen.append(len(given[0])))
    Slicewise(net, "x", batch=4)(volume)
    assert seen == [4, 4, 4, 2]


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_slices_of_one_volume_are_views_and_go_back_where_they_were(volume, axis):
    one = volume.repeat(1, 3, 1, 1, 1)[:1]
    slices = to_slices(one, axis)
    assert slices.data_ptr() == one.data_ptr() == from_slices(slices, axis, 1).data_ptr()
    several = volume.repeat(1, 3, 1, 1, 1)
    assert torch.equal(from_slices(to_slices(several, axis), axis, 2), several)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
@torch.no_grad()
def test_a_tile_cut_across_the_axis_needs_no_halo_along_it(volume, axis):
    along = "zyx".index(axis) + 2
    net = Slicewise(network(2), axis)
    torch.testing.assert_close(net(volume.narrow(along, 2, 2)), net(volume).narrow(along, 2, 2))


@torch.no_grad()
def test_at_scale_one_the_mean_of_the_three_axes_is_taken(volume):
    net = network()
    expected = sum(torch.stack([net(image) for image in volume.unbind(axis)], axis) for axis in (2, 3, 4)) / 3
    torch.testing.assert_close(Orthogonal(net)(volume), expected)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_network_that_repeats_pixels_repeats_voxels(volume, scale):
    net = nn.Upsample(scale_factor=scale)
    torch.testing.assert_close(Orthogonal(net, scale, batch=3)(volume), repeated(volume, scale), rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_pass_refines_shrinks_the_third_axis_and_refines_again(volume):
    net = network(2)

    def refined(volume, axis):
        return torch.stack([net(image) for image in volume.unbind(axis)], axis)

    def shrunk(volume, axis):
        even, odd = volume.unflatten(axis, (-1, 2)).unbind(axis + 1)
        return (even + odd) / 2

    z_first = refined(shrunk(refined(volume, 2), 4), 3)
    y_first = refined(shrunk(refined(volume, 3), 2), 4)
    x_first = refined(shrunk(refined(volume, 4), 3), 2)
    torch.testing.assert_close(Orthogonal(net, 2)(volume), (z_first + y_first + x_first) / 3)


@pytest.mark.parametrize("scale", [1, 2])
@torch.no_grad()
def test_the_result_turns_with_the_volume(volume, scale):
    net = Orthogonal(Isotropic(scale), scale)
    turned = net(volume.permute(0, 1, 3, 4, 2)).permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(turned, net(volume))
    torch.testing.assert_close(net(volume.flip(2, 4)).flip(2, 4), net(volume))


@pytest.mark.parametrize("scale", [1, 2])
@torch.no_grad()
def test_one_slice_is_a_volume_too(scale):
    volume = torch.rand(1, 1, 1, 8, 9)
    assert Slicewise(network(scale))(volume).shape == (1, 1, 1, 8 * scale, 9 * scale)
    pred = Orthogonal(Isotropic(scale), scale)(volume)
    assert pred.shape == (1, 1, scale, 8 * scale, 9 * scale)
    assert pred.isfinite().all()


@torch.no_grad()
def test_tiles_with_twice_the_reach_as_halo_give_the_volume(volume):
    """The second step reads what the first one made: a 3 x 3 kernel reaches one voxel, twice."""
    net = Orthogonal(Isotropic(2), 2)
    whole, left = net(volume), net(volume[..., :5])
    torch.testing.assert_close(left[..., :6], whole[..., :6])
    assert (left[..., 6:8] - whole[..., 6:8]).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Slicewise(network(), "w"), UsageError, "'z', 'y' or 'x', not to 'w'"),
        (lambda: Slicewise(nn.Conv3d(1, 1, 3)), UsageError, "spatial_dims=2, found a Conv3d"),
        (lambda: Orthogonal(SRResNet(3, width=2, blocks=1)), UsageError, "found a Conv3d in SRResNet"),
        (lambda: Slicewise(network())(torch.rand(1, 1, 8, 8)), DataError, "found an array of 1 x 1 x 8 x 8"),
        (lambda: Orthogonal(network(2), 4)(torch.rand(1, 1, 2, 8, 8)), UsageError, "32 x 32, but .* 16 x 16"),
        (lambda: Orthogonal(greyed(), 2)(torch.rand(1, 3, 2, 8, 8)), UsageError, "3 channels in and 1 out"),
    ],
)
def test_refuses_what_has_no_slices(call, error, words):
    with pytest.raises(error, match=words):
        call()
