from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from rockmonai.errors import UsageError
from rockmonai.networks import StackedUNets, renamed_weights
from tests.inferers.networks import randomised

RULES = ("stack", "mean", "backbone")


def stacked(combine="stack", **arguments):
    return randomised(StackedUNets(**{"width": 2, "levels": 2, "combine": combine} | arguments))


def members(network):
    return [*network.binary, network.multi]


@pytest.fixture
def image():
    return torch.rand(2, 1, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def probabilities(image):
    """What the members say, one after another, by hand."""
    network = stacked()
    with torch.no_grad():
        *binary, multi = (member(image).numpy().astype(float) for member in members(network))
    return expit(np.concatenate(binary, 1)), softmax(multi, 1)


@torch.no_grad()
@pytest.mark.parametrize("residual", [True, False])
def test_stacking_network_reads_the_probabilities_of_all_members(image, probabilities, residual):
    network, (binary, multi) = stacked(residual=residual), probabilities
    read = torch.from_numpy(np.concatenate(probabilities, 1)).float()
    assert read.shape == (2, 8, 16, 24)
    vote = np.log((binary / binary.sum(1, keepdims=True) + multi) / 2) if residual else 0.0
    torch.testing.assert_close(network(image), (network.stacker(read) + vote).float(), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_stacking_begins_with_the_mean_vote(image):
    fresh, vote = (StackedUNets(width=2, levels=2, combine=combine).eval() for combine in ("stack", "mean"))
    vote.load_state_dict(fresh.state_dict())
    torch.testing.assert_close(fresh(image), vote(image))


@torch.no_grad()
def test_mean_of_the_votes(image, probabilities):
    binary, multi = probabilities
    expected = (binary / binary.sum(1, keepdims=True) + multi) / 2
    np.testing.assert_allclose(stacked("mean")(image).exp().numpy(), expected, atol=1e-5)


@torch.no_grad()
def test_backbone_alone_names_a_class_only_when_its_member_is_sure(image, probabilities):
    network, made = stacked("backbone"), torch.randn(1, 8, 20, 20)
    for binary, found in (
        (probabilities[0], network(image)),
        (expit(made[:, :4].numpy().astype(float)), network.verdict(made)),
    ):
        greatest = binary.argmax(1)
        expected = np.where(np.take_along_axis(binary, greatest[:, None], 1)[:, 0] > 0.5, greatest, 0)
        np.testing.assert_array_equal(found.argmax(1).numpy(), expected)
    assert len(np.unique(expected)) == 4 and (expected != greatest).any()


@pytest.mark.parametrize("combine", ["mean", "backbone"])
def test_votes_stay_finite_where_the_members_are_certain(combine):
    certain = torch.cartesian_prod(*[torch.tensor([-300.0, 300.0])] * 8).T[None, ..., None]
    assert stacked(combine).verdict(certain).isfinite().all()


def test_members_learn_first(image):
    network = stacked().train()
    network.stack(False)
    said = network(image)
    assert {name: tuple(value.shape) for name, value in said.items()} == {
        "pred": (2, 4, 16, 24),
        "binary": (2, 4, 16, 24),
        "multi": (2, 4, 16, 24),
    }
    assert not said["pred"].requires_grad
    (said["binary"].square().mean() + said["multi"].square().mean()).backward()
    learning = {name.partition(".")[0] for name, weight in network.named_parameters() if weight.grad is not None}
    assert learning == {"binary", "multi"}


def test_one_member_learns_from_its_own_channel(image):
    network = stacked().train()
    network.stack(False)
    network(image)["binary"][:, 2].sum().backward()
    learning = {
        name[:8] for name, weight in network.named_parameters() if weight.grad is not None and weight.grad.any()
    }
    assert learning == {"binary.2"}


def test_then_the_stacking_network_learns_and_nothing_flows_back(image):
    network = stacked()
    network.stack(True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), 0.1, weight_decay=0.1)
    for _ in range(2):
        said = network.train()(image)
        assert [name for name, logits in said.items() if logits.requires_grad] == ["pred"]
        optimizer.zero_grad()
        said["pred"].square().mean().backward()
        optimizer.step()
    changed = {name.partition(".")[0] for name, value in network.state_dict().items() if not value.equal(before[name])}
    assert changed == {"stacker"}
    assert not any(weight.requires_grad for member in members(network) for weight in member.parameters())


def test_stages_change_at_once_whatever_the_mode(image):
    network = stacked().train()
    network.stack(False)
    assert all(member.training for member in members(network))
    network.stack(True)
    assert network.training and network.stacker.training
    assert not any(member.training for member in members(network))
    network.stack(False)
    assert all(weight.requires_grad for weight in network.parameters())
    network.eval().stack(False)
    assert not any(module.training for module in network.modules())


@torch.no_grad()
def test_before_there_is_a_stacking_network_the_mean_is_asked(image):
    network = stacked()
    network.stack(False)
    torch.testing.assert_close(network(image), stacked("mean")(image))
    only = stacked("backbone")
    expected = only(image)
    only.stack(False)
    assert torch.equal(only(image), expected)


def test_stage_is_no_part_of_the_weights_and_the_start_freezes_nothing(image):
    network = stacked()
    names = set(network.state_dict())
    network.stack(False)
    assert set(network.state_dict()) == names == set(stacked("mean").state_dict())
    assert network.stacking is False and stacked().stacking is True
    fresh = stacked().train()
    # What wraps it for several processes looks at this once.
    assert all(weight.requires_grad for weight in fresh.parameters())
    # Nobody has said who learns: what only looks at a network in training mode is given logits.
    assert fresh(image).shape == (2, 4, 16, 24)


@torch.no_grad()
def test_files_of_the_single_networks_make_up_the_ensemble(image):
    given = stacked()
    files = {
        f"{name}.{key}": tensor
        for name, member in zip("abcdef", [*members(given), given.stacker], strict=True)
        for key, tensor in member.state_dict().items()
    }
    network = StackedUNets(width=2, levels=2)
    network.load_state_dict(renamed_weights(files, network))
    assert torch.equal(network.eval()(image), given(image))


@pytest.mark.parametrize("combine", RULES)
@torch.no_grad()
def test_torchscript_returns_a_tensor_in_any_mode(combine, image):
    network = stacked(combine)
    scripted = torch.jit.script(network)
    torch.testing.assert_close(scripted(image), network(image))
    assert isinstance(torch.jit.script(network.train())(image), torch.Tensor)


@pytest.mark.parametrize("combine", RULES)
def test_onnx_computes_the_same(combine, image, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    network = stacked(combine, levels=1)
    torch.onnx.export(network, (image,), tmp_path / "network.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    np.testing.assert_allclose(found, network(image).detach().numpy(), rtol=1e-4, atol=1e-4)


def test_volumes_and_other_numbers_of_classes():
    network = stacked(spatial_dims=3, in_channels=2, out_channels=3, levels=1)
    assert network(torch.rand(1, 2, 4, 6, 8)).shape == (1, 3, 4, 6, 8)
    assert network.multiple == 2


def test_refuses_what_it_cannot_be():
    with pytest.raises(UsageError, match="'stack', 'mean' or 'backbone', not by 'vote'"):
        StackedUNets(width=1, combine="vote")
    with pytest.raises(UsageError, match="This StackedUNets takes images whose sides are multiples of 4"):
        stacked()(torch.rand(1, 1, 16, 18))
