"""What the ensemble of U-Nets promises: one run in two phases, votes in three ways, and the original's weights."""

from __future__ import annotations

import csv
import os
import signal

import numpy as np
import pytest
import tifffile
import torch
from scipy.special import expit, softmax

from rockmonai.__main__ import main
from rockmonai.handlers import MovingAverage, write_checkpoint
from tests.bundles.runs import BUNDLES, config_of, predict, tiny_network, train, write_model, write_small_set
from tests.bundles.test_bad_input import refused
from tests.bundles.test_shale import evaluate, noise, undecided, write_rock
from tests.bundles.test_unfinished_inference import Fuse
from tests.inferers.networks import randomised
from tests.networks.test_original_weights import PlainUNet, trained

BUNDLE = "shale_ensemble"
MEMBERS = ["binary.0", "binary.1", "binary.2", "binary.3", "multi"]
PHASES = {"epochs": 4, "warmup_epochs": 2}


def go(dataset, output, **override):
    train(BUNDLE, dataset, output, **PHASES | override)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set and a run on it of two epochs in each phase, three iterations each, that nothing interrupted."""
    folder = tmp_path_factory.mktemp("ensemble")
    dataset = write_small_set(folder / "set", BUNDLE)
    go(dataset, folder / "run")
    return dataset, folder / "run"


def read(folder, name):
    return torch.load(folder / f"{name}.pt", weights_only=True)


def part(weights, name):
    """All weights of one of the six networks as one vector."""
    found = [values.double().flatten() for key, values in weights.items() if key.startswith(f"{name}.")]
    return torch.cat(found)


def test_the_members_learn_first_and_the_stacking_network_after_them(whole):
    _, run = whole
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [float(row["lr"]) for row in rows] == pytest.approx(
        config_of(BUNDLE, "train")["lr"] * np.array([1, 0.5] * 2)
    )
    for name in ("binary_loss", "multi_loss", "stack_loss"):
        assert all(float(row[name]) > 0 for row in rows)
    before, after = (read(run, f"checkpoint_{iteration:08d}")["learner"] for iteration in (9, 12))
    same = {name: torch.equal(part(before, name), part(after, name)) for name in (*MEMBERS, "stacker")}
    assert same == dict.fromkeys(MEMBERS, True) | {"stacker": False}
    early, late = read(run, "model_warmup"), read(run, "model")
    # The members that are stacked are those that the warm-up has left: their averages.
    assert all(torch.equal(part(early, name), part(late, name)) for name in MEMBERS)
    assert not torch.equal(part(early, "stacker"), part(late, "stacker"))


def test_the_model_is_the_average_of_the_weights_and_not_the_last_of_them(whole):
    _, run = whole
    model, last = read(run, "model"), read(run, "checkpoint_00000012")
    for name in (*MEMBERS, "stacker"):
        assert torch.equal(part(model, name), part(last["network"], name))
        assert torch.equal(part(model, name), part(last["learner"], name)) == (name in MEMBERS)


@pytest.mark.parametrize(
    ("at", "killed", "models"),
    [(2, False, set()), (8, False, {"model_warmup.pt"}), (8, True, {"model_warmup.pt"})],
    ids=["members", "stacking", "killed"],
)
def test_a_run_that_ends_early_in_either_phase_goes_on_to_the_same_weights(
    whole, tmp_path, monkeypatch, at, killed, models
):
    dataset, run = whole
    with monkeypatch.context() as patch:
        Fuse(patch, MovingAverage, "__call__", at, lambda: os.kill(os.getpid(), signal.SIGTERM))
        code, text = refused(lambda: go(dataset, tmp_path / "run"))
    assert code == 75 and f"iteration {at};" in text
    assert {path.name for path in (tmp_path / "run").glob("model*.pt")} == models
    checkpoint = tmp_path / "run" / f"checkpoint_{at:08d}.pt"
    assert checkpoint.is_file()
    if killed:  # what is left is the end of the members' phase
        checkpoint.unlink()
    go(dataset, tmp_path / "run", resume=True)

    found, expected = (read(folder, "checkpoint_00000012") for folder in (tmp_path / "run", run))
    for kind in ("learner", "network"):
        for name in (*MEMBERS, "stacker"):
            assert torch.equal(part(found[kind], name), part(expected[kind], name)), (kind, name)
    for name in ("model", "model_warmup"):
        a, b = (read(folder, name) for folder in (tmp_path / "run", run))
        assert all(torch.equal(a[key], b[key]) for key in b)
    assert (tmp_path / "run" / "metrics.csv").read_text() == (run / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with an image to test on and random weights; the image, and the network that they make."""
    folder, image = tmp_path_factory.mktemp("model"), noise((48, 60))
    write_rock(folder / "test", "rock", image, image % 4)
    network, grey = randomised(write_model(folder, BUNDLE)), torch.from_numpy(image / 127.5 - 1).float()[None, None]
    for member in (*network.binary, network.multi):
        undecided(member, member.tail, grey)
    with torch.no_grad():
        vote = network.mean(network._members(grey))
        undecided(lambda image: network(image) - vote, network.stacker.tail, grey)
        network.stacker.tail.bias.sub_(vote.mean((0, 2, 3)))
    write_checkpoint(network.state_dict(), folder / "model.pt")
    return folder, grey, network


@torch.no_grad()
def verdicts(network, grey):
    """The classes that each way to combine the votes of the members finds, by hand."""
    binary = expit(np.concatenate([member(grey)[0].numpy().astype(float) for member in network.binary]))
    multi = softmax(network.multi(grey)[0].numpy().astype(float), 0)
    greatest, vote = binary.argmax(0), (binary / binary.sum(0) + multi) / 2
    correction = network.stacker(torch.from_numpy(np.concatenate([binary, multi])).float()[None])[0].numpy()
    return {
        "stack": (correction + np.log(vote)).argmax(0),
        "mean": vote.argmax(0),
        "backbone": np.where(binary.max(0) > 0.5, greatest, 0),
    }


@pytest.mark.parametrize("combine", ["stack", "mean", "backbone"])
def test_the_same_weights_vote_in_three_ways(model, tmp_path, combine):
    folder, grey, network = model
    way = {"network_def#combine": combine}
    evaluate(tmp_path, bundle=BUNDLE, dataset_dir=str(folder), ckpt_dir=str(folder), **tiny_network(BUNDLE) | way)
    predict(folder / "test" / "images" / "rock.tif", tmp_path / "f.tif", folder, bundle=BUNDLE, block_size=24, **way)
    expected = verdicts(network, grey)
    others = [(expected[combine] != found).mean() for name, found in expected.items() if name != combine]
    assert len(np.unique(expected[combine])) == 4 and min(others) > 0.02
    for found in ("classes/rock.tif", "f.tif"):
        assert (tifffile.imread(tmp_path / found) != expected[combine]).mean() <= 1e-3


class PlainEnsemble(torch.nn.Module):
    """The published networks in the order in which they were trained."""

    def __init__(self):
        super().__init__()
        self.members = torch.nn.ModuleList([PlainUNet(3, classes) for classes in (1, 1, 1, 1, 4)])
        self.synthesizer = PlainUNet(8, 4)

    def forward(self, image):
        *binary, multi = (member(image) for member in self.members)
        return self.synthesizer(torch.cat([*(logit.sigmoid() for logit in binary), multi.softmax(1)], 1))


@pytest.mark.parametrize("bundle", ["shale_unet", BUNDLE])
def test_weights_of_the_original_code_give_its_classes(tmp_path, bundle):
    network, image = trained(PlainUNet(3, 4) if bundle == "shale_unet" else PlainEnsemble()), noise((48, 64))
    three = torch.from_numpy(image / 255).float().expand(1, 3, -1, -1)
    for unet in getattr(network, "members", []):
        undecided(unet, unet.outc, three)
    undecided(network, getattr(network, "synthesizer", network).outc, three)
    torch.save(network.state_dict(), tmp_path / "original.model")
    overlay = BUNDLES / bundle / "configs" / "original_network.json"
    words = ["--config", str(overlay), "--ckpt_dir", str(tmp_path), "--network_def#width=2"]
    main(["import_weights", bundle, str(tmp_path / "original.model"), *words])

    write_rock(tmp_path / "test", "rock", image, image % 4, spacing=0.004)
    sizes = tiny_network(bundle, "original_network") | {"network_def#width": 2, "network_def#levels": 4}
    files = {"dataset_dir": str(tmp_path), "ckpt_dir": str(tmp_path)}
    evaluate(tmp_path, "original_network", bundle=bundle, **sizes | files)
    with torch.no_grad():
        expected = network(three)[0].argmax(0).numpy()
    assert len(np.unique(expected)) == 4
    assert (tifffile.imread(tmp_path / "classes" / "rock.tif") != expected).mean() <= 1e-3
