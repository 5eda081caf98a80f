from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.errors import ModelError, NumericalError
from rockmonai.handlers import load_weights, newest_checkpoint, read_checkpoint, write_checkpoint


def damage(path, at=0.5):
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    path.write_bytes(content)


def test_what_is_written_is_read(tmp_path):
    content = {"network": nn.Linear(3, 2).state_dict(), "epoch": 4, "history": [{"loss": 0.5}]}
    write_checkpoint(content, tmp_path / "a.pt")
    back = read_checkpoint(tmp_path / "a.pt")
    assert torch.equal(back["network"]["weight"], content["network"]["weight"])
    assert back["epoch"] == 4 and back["history"] == [{"loss": 0.5}]


def test_nan_is_never_written(tmp_path):
    write_checkpoint({"w": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(NumericalError, match=r"'net\.w' holds NaN"):
        write_checkpoint({"net": {"w": torch.tensor([1.0, float("nan")])}}, tmp_path / "a.pt")
    assert torch.equal(read_checkpoint(tmp_path / "a.pt")["w"], torch.ones(2))


def test_one_flipped_bit_is_noticed(tmp_path):
    write_checkpoint({"w": torch.zeros(1000)}, tmp_path / "a.pt")
    damage(tmp_path / "a.pt")
    with pytest.raises(ModelError, match="differs from its checksum"):
        read_checkpoint(tmp_path / "a.pt")


def test_newest_falls_back_to_the_one_before(tmp_path):
    for number in (1, 2, 3):
        write_checkpoint({"n": number}, tmp_path / f"checkpoint_{number:08d}.pt")
    damage(tmp_path / "checkpoint_00000003.pt")
    (tmp_path / "checkpoint_00000002.pt.sha256").unlink()  # a kill came between the two renames
    path, content = newest_checkpoint(tmp_path)
    assert content == {"n": 1} and path.name == "checkpoint_00000001.pt"
    assert newest_checkpoint(tmp_path / "nowhere") is None


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        read_checkpoint(tmp_path / "a.pt")


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"x": Evil()}, tmp_path / "a.pt")
    with pytest.raises(ModelError):
        read_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "owned").exists()


def test_missing_checkpoint_lists_those_there(tmp_path):
    write_checkpoint({"n": 1}, tmp_path / "model.pt")
    with pytest.raises(ModelError, match=r"no checkpoint .*best.pt: the folder holds model.pt"):
        read_checkpoint(tmp_path / "best.pt")


def test_weights_of_another_network_are_refused_whole():
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    other = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4)).state_dict()
    with pytest.raises(
        ModelError, match=r"2 of 4 tensors differ, first '1.weight' is \(4, 2\) in the file and \(1, 2\)"
    ):
        load_weights(network, other, "model.pt")
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
