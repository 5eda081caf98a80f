from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from rockmonai.errors import UsageError
from rockmonai.inferers import Slicewise, Symmetrised, footprint
from rockmonai.inferers.executors import fastest
from rockmonai.inferers.pieces import Piece
from rockmonai.inferers.symmetrised import turned_piece
from rockmonai.networks import EDSR, UNet, UNetGenerator
from rockmonai.transforms import symmetries
from tests.inferers.networks import image, randomised


def network(dims=2, levels=2):
    return randomised(UNet(dims, out_channels=3, width=2, levels=levels))


@pytest.mark.parametrize("sides", [(16, 16), (16, 24)])
@torch.no_grad()
def test_is_the_mean_of_the_turned_and_flipped_images(sides):
    net, whole = network(), image(*sides)
    expected = torch.zeros(1, 3, *sides)
    for turns in range(4):
        for mirror in (False, True):
            seen = torch.rot90(whole.flip(3) if mirror else whole, turns, (2, 3))
            answer = torch.rot90(net(seen).softmax(1), -turns, (2, 3))
            expected += (answer.flip(3) if mirror else answer) / 8
    found = Symmetrised(net, 2)(whole)
    torch.testing.assert_close(found.exp(), expected)
    assert (found.exp() - net(whole).softmax(1)).abs().max() > 1e-2


@torch.no_grad()
def test_greys_have_the_mean_of_all_sides_on_a_finer_grid():
    net, whole = randomised(EDSR(2, width=4, blocks=1, scale=2)), image(12, 16)
    expected = torch.zeros(1, 1, 24, 32)
    for turns in range(4):
        for mirror in (False, True):
            seen = torch.rot90(whole.flip(3) if mirror else whole, turns, (2, 3))
            answer = torch.rot90(net(seen), -turns, (2, 3))
            expected += (answer.flip(3) if mirror else answer) / 8
    torch.testing.assert_close(Symmetrised(net, 2, classes=False)(whole), expected)


@torch.no_grad()
def test_volumes_are_flipped_along_their_axes_alone():
    net, whole = network(3), image(8, 4, 12)
    expected = torch.zeros(1, 3, 8, 4, 12)
    for axes in ((), (2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4)):
        expected += net(whole.flip(axes)).softmax(1).flip(axes) / 8
    torch.testing.assert_close(Symmetrised(net, 3)(whole).exp(), expected)


@torch.no_grad()
def test_symmetric_image_has_symmetric_classes():
    whole = image(16, 16)
    whole = whole + whole.flip(2)
    whole = whole + whole.flip(3)
    whole = whole + whole.mT
    net = network()
    found = Symmetrised(net)(whole)
    for symmetric in (found.flip(2), found.flip(3), found.mT, torch.rot90(found, 1, (2, 3))):
        torch.testing.assert_close(found, symmetric)
    assert not torch.allclose(net(whole), net(whole).flip(2), atol=1e-2)


@torch.no_grad()
def test_stays_finite_where_the_network_is_certain():
    net = network()
    net.tail.weight.mul_(1e4)
    whole = image(16, 16)
    assert net(whole).softmax(1).min() == 0
    assert Symmetrised(net)(whole).isfinite().all()


@pytest.mark.parametrize("sides", [(6, 9), (5, 6, 7)])
def test_piece_is_turned_with_its_place(sides):
    whole = image(*sides)
    piece = Piece(whole, (0,) * len(sides), sides).between([1] * len(sides), [n - 2 for n in sides])
    for symmetry in symmetries([(1,) * len(sides)]):
        turned = turned_piece(piece, symmetry)
        all_of_it = turned_piece(Piece(whole, (0,) * len(sides), sides), symmetry)
        assert turned.whole == all_of_it.whole == tuple(all_of_it.values.shape[2:])
        assert torch.equal(all_of_it.between(turned.start, turned.stop).values, turned.values)
        back = turned_piece(turned, symmetry.inverse())
        assert torch.equal(back.values, piece.values) and (back.start, back.whole) == (piece.start, piece.whole)


@torch.no_grad()
def test_piece_shrinks_to_what_all_sides_know(caplog):
    caplog.set_level("INFO", "rockmonai")
    net = Symmetrised(network())
    whole = image(96, 64)
    piece = fastest(net, image(16, 16))(Piece(whole[..., 32:, :], (32, 0), (96, 64)))
    assert not caplog.text
    assert 32 < piece.start[0] <= 32 + 2 * footprint(net, 2).reach[0]
    torch.testing.assert_close(piece.values, net(whole)[(..., *map(slice, piece.start, piece.stop))])


def test_reads_as_far_and_on_the_same_grid_as_its_network():
    net = network()
    found, alone = footprint(Symmetrised(net), 2), footprint(net, 2)
    assert found == alone
    assert Symmetrised(net).multiple == net.multiple == 4


@torch.no_grad()
def test_slices_of_a_volume_and_images_with_a_history():
    net, volume = network(), image(3, 8, 12)
    along = Slicewise(Symmetrised(net), "z", batch=2)(volume)
    torch.testing.assert_close(along[:, :, 1], Symmetrised(net)(volume[:, :, 1]))
    tracked = Symmetrised(net)(MetaTensor(volume[:, :, 1]))
    torch.testing.assert_close(torch.as_tensor(tracked).as_subclass(torch.Tensor), along[:, :, 1])


def test_network_without_classes_is_refused():
    with pytest.raises(UsageError, match="2 classes or more, found 1 logit"):
        Symmetrised(UNetGenerator(width=1, levels=2))(image(8, 8))
