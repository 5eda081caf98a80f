from __future__ import annotations

import pickle

import numpy as np
import pytest
import tifffile
import torch
from monai.transforms import Compose

from rockmonai.data import PatchDataset
from rockmonai.errors import DataError, NoWindow
from rockmonai.transforms import OpenVolumed, PaintCharged, RandPairedCropd, RandTransplantCharged, paint_charge


def spotted(seed: int, shape: tuple[int, ...] = (60, 80)) -> np.ndarray:
    """Return a mask whose every window of some size is charged to a different degree."""
    rng = np.random.default_rng(seed)
    return (rng.random((1, *shape)) < np.linspace(0, 1, shape[-1])).astype(np.uint8)


LENDERS = [{"name": str(seed), "charge": spotted(seed)} for seed in range(3)]


def windows(mask: np.ndarray, side: int) -> set[bytes]:
    """Return every window of (1, Y, X)."""
    view = np.lib.stride_tricks.sliding_window_view(mask[0], (side, side))
    return {view[y, x].tobytes() for y in range(view.shape[0]) for x in range(view.shape[1])}


def test_the_new_charging_is_a_window_of_some_mask_within_the_limits():
    record = {"label": torch.full((1, 12, 12), 9, dtype=torch.uint8), "charge": torch.zeros(1, 12, 12)}
    transform = RandTransplantCharged(LENDERS)
    known = [windows(lender["charge"], 12) for lender in LENDERS]
    lent = set()
    for seed in range(40):
        mask = transform.set_random_state(seed)(record)["charge"]
        assert mask.dtype == torch.uint8 and mask.shape == (1, 12, 12)
        assert 0.25 < 1 - mask.float().mean() < 0.75
        (lender,) = (number for number, shapes in enumerate(known) if mask[0].numpy().tobytes() in shapes)
        lent.add(lender)
    assert lent == {0, 1, 2}


def test_black_is_neither_charged_nor_intact():
    label = torch.ones(1, 10, 10, dtype=torch.uint8)
    label[:, :, :4] = 0
    striped = np.zeros((1, 10, 10), np.uint8)
    striped[:, ::2] = 255  # masks of other programs
    transplant = RandTransplantCharged([{"charge": striped}], intact=(0.29, 0.31))
    mask = transplant({"label": label})["charge"]
    assert np.array_equal(mask.numpy(), (striped > 0) & (label.numpy() > 0))
    with pytest.raises(
        NoWindow, match=r"leaves 31% to 90% of rock_7 intact: 1000 windows of 1 masks left 30\.0% to 30"
    ):
        RandTransplantCharged([{"charge": striped}], intact=(0.31, 0.9))({"label": label, "name": "rock_7"})


def test_a_volume_lends_its_slices_to_images_and_its_blocks_to_volumes():
    mask = np.stack([np.arange(6).reshape(6, 1, 1) % 2 * np.ones((6, 8, 8))]).astype(np.uint8)
    with pytest.raises(NoWindow, match=r"left 0\.0% to 100\.0%"):
        RandTransplantCharged([{"charge": mask}], max_tries=50)({"label": torch.ones(1, 4, 4)})
    found = RandTransplantCharged([{"charge": mask}])({"label": torch.ones(1, 4, 4, 4)})["charge"]
    assert found.flatten(2).sum(2).tolist() in ([[0, 16, 0, 16]], [[16, 0, 16, 0]])


def test_masks_are_lent_from_the_region_of_their_record():
    mask = np.ones((1, 40, 40), np.uint8)
    mask[:, 30:, :20] = 0
    lender = {"charge": mask, "roi": [[30, 40], [0, 40]]}
    transform = RandTransplantCharged([lender])
    for seed in range(20):
        found = transform.set_random_state(seed)({"label": torch.ones(1, 10, 20)})["charge"]
        assert torch.equal(found, found[:, :1].expand(1, 10, 20))


def test_a_patch_and_its_charging_depend_on_the_seed_alone(tmp_path):
    records = []
    for number in range(3):
        for key, greys in (("label", np.full((60, 80), 50 + number, np.uint8)), ("charge", spotted(number)[0])):
            tifffile.imwrite(tmp_path / f"{key}{number}.tif", greys)
        records.append({key: str(tmp_path / f"{key}{number}.tif") for key in ("label", "charge")})
    crop = RandPairedCropd(["label", "charge"], 12, 2)
    transform = Compose([OpenVolumed(["label", "charge"]), crop, RandTransplantCharged(records)])
    dataset = PatchDataset(records, transform, seed=1)
    first = [dataset[draw]["charge"] for draw in range(6)]
    again = pickle.loads(pickle.dumps(dataset))
    assert all(torch.equal(again[draw]["charge"], first[draw]) for draw in reversed(range(6)))
    assert len({mask.numpy().tobytes() for mask in first}) == 6


def test_what_the_network_sees():
    guide, label = torch.rand(1, 4, 5) * 2 - 1, torch.rand(1, 4, 5) * 2 - 1
    charge = (torch.rand(1, 4, 5) > 0.5).to(torch.uint8)
    record = PaintCharged()({"image": guide, "label": label, "charge": charge})
    expected = (1 - charge.numpy()) * label.numpy() + charge.numpy() * 1.0
    np.testing.assert_array_equal(record["damaged"], expected)
    np.testing.assert_array_equal(record["image"], np.concatenate([guide, expected, np.where(charge, 1.0, -1.0)]))
    assert torch.equal(record["label"], label) and torch.equal(record["charge"], charge)
    assert record["image"].dtype == torch.float32


def test_without_its_guide_the_network_sees_middle_grey():
    record = {"sem": torch.ones(1, 4, 4), "charge": torch.zeros(1, 4, 4)}
    seen = PaintCharged(image_key="sem", guided=False)(record)["image"]
    assert seen.shape == (3, 4, 4) and not seen[0].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_images_and_masks_may_be_of_any_type(dtype):
    lender = {"charge": np.tile([[[0, 40], [100, 0]]], (1, 5, 5)).astype(dtype)}
    label = torch.from_numpy(np.full((1, 4, 4), 100, dtype))
    mask = RandTransplantCharged([lender])({"label": label})["charge"]
    assert mask.sum() == 8
    record = PaintCharged(guided=False)({"label": torch.zeros(1, 10, 10), "charge": lender["charge"]})
    assert np.array_equal(record["damaged"].numpy(), lender["charge"] > 0)


def test_volumes_are_painted_alike():
    record = {"image": torch.zeros(1, 2, 3, 4), "label": torch.zeros(1, 2, 3, 4), "charge": torch.ones(1, 2, 3, 4)}
    assert PaintCharged()(record)["image"].flatten(1).mean(1).tolist() == [0, 1, 1]


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(DataError, match=r"mask has the shape \(1, 4, 4\), its image \(1, 8, 8\)"):
        paint_charge(torch.zeros(1, 8, 8), torch.zeros(1, 4, 4))


def test_a_guide_of_another_size_is_refused():
    record = {"image": torch.zeros(1, 8, 8), "label": torch.zeros(1, 4, 4), "charge": torch.zeros(1, 4, 4)}
    with pytest.raises(DataError, match=r"guide has the shape \(1, 8, 8\), the charged image \(1, 4, 4\)"):
        PaintCharged()(record)
