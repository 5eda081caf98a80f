from __future__ import annotations

import logging
from itertools import islice

import numpy as np
import pytest
import torch
from monai.transforms import Compose, RandFlipd, RandGaussianNoised

from rockmonai.data import PatchDataset, PatchLoader, keyed_seed
from rockmonai.errors import NoWindow
from rockmonai.transforms import NotBlank, RandPairedCropd

RECORDS = [{"x": torch.full((1, 4, 4), float(value))} for value in range(5)]


def noisy_set(seed=0, length=None):
    transform = Compose([RandFlipd("x", prob=0.5), RandGaussianNoised("x", prob=1.0, std=0.1)])
    return PatchDataset(RECORDS, transform, length=length, seed=seed)


def partly_blank_set(blank):
    greys = np.random.default_rng(0).random((5, 1, 12, 12))
    records = [{"name": n, "x": greys[n] * (n not in blank)} for n in range(5)]
    transform = Compose([RandPairedCropd("x", 8, 2, reference="x", accept=[NotBlank(key="x")], max_tries=5)])
    return PatchDataset(records, transform, seed=2)


def batches(loader, count):
    return [batch["x"].numpy() for batch in islice(iter(loader), count)]


def test_a_patch_is_a_function_of_seed_and_number_alone():
    one, other = noisy_set(), noisy_set()
    for draw in range(7):
        other[draw]  # drawing others in between changes nothing
    assert torch.equal(one[3]["x"], other[3]["x"])
    assert not torch.equal(one[3]["x"], one[3 + len(RECORDS)]["x"])
    assert not torch.equal(one[3]["x"], noisy_set(seed=1)[3]["x"])


def test_every_record_comes_once_a_round():
    plain = PatchDataset(RECORDS, lambda record: record, seed=4)
    for start in (0, 5, 10):
        assert sorted(int(plain[start + n]["x"].mean()) for n in range(5)) == [0, 1, 2, 3, 4]


def test_batches_are_equal_for_any_number_of_workers():
    alone = batches(PatchLoader(noisy_set(), 3, epoch_length=4), 6)
    helped = batches(PatchLoader(noisy_set(), 3, epoch_length=4, num_workers=2), 6)
    np.testing.assert_array_equal(alone, helped)


def test_loader_starts_anywhere():
    through = batches(PatchLoader(noisy_set(), 2, epoch_length=4), 7)
    resumed = PatchLoader(noisy_set(), 2, epoch_length=4)
    resumed.start_at(5)
    np.testing.assert_array_equal(through[5:], batches(resumed, 2))
    assert len(resumed) == 4


def test_ranks_share_the_draws_without_overlap(monkeypatch):
    import torch.distributed as dist

    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    drawn = []
    for rank in (0, 1):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        walk = PatchLoader(noisy_set(), 3, epoch_length=4).walk
        drawn += [n for batch in islice(iter(walk), 4) for n in batch]
    assert sorted(drawn) == list(range(24))


def test_a_record_without_a_window_is_passed_over_with_one_warning(caplog):
    dataset = partly_blank_set(blank=(1, 3))
    order = [int(PatchDataset([{"n": n} for n in range(5)], dict, seed=2)[draw]["n"]) for draw in range(5)]
    with caplog.at_level(logging.WARNING, "rockmonai"):
        names = [dataset[draw]["name"] for draw in range(20)]
    expected = [next(n for n in order[at:] + order[:at] if n not in (1, 3)) for at in range(5)]
    assert names[:5] == expected
    assert [message.count("Patches of other records") for message in caplog.messages] == [1, 1]


def test_patches_are_the_same_for_any_number_of_workers_when_records_are_passed_over():
    alone = batches(PatchLoader(partly_blank_set(blank=(1, 3)), 3, epoch_length=4), 6)
    helped = batches(PatchLoader(partly_blank_set(blank=(1, 3)), 3, epoch_length=4, num_workers=2), 6)
    np.testing.assert_array_equal(alone, helped)


def test_no_window_in_any_record_ends_the_training():
    with pytest.raises(NoWindow, match=r"^No window of 'x' was accepted in 5 tries"):
        next(iter(PatchLoader(partly_blank_set(blank=range(5)), 2, epoch_length=4)))


def test_keys_do_not_collide():
    assert len({keyed_seed(a, b) for a in range(50) for b in range(50)}) == 2500
    assert keyed_seed(1, 2) != keyed_seed(2, 1)
