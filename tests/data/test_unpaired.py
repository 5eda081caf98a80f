from __future__ import annotations

from itertools import islice

import pytest
import torch
from monai.transforms import Compose

from rockmonai.data import PatchLoader, UnpairedDataset, pairs
from rockmonai.transforms import OpenVolumed, RandPairedCropd, RandSymmetryd
from tests.data.images import write

# Every grey tells its image, row and column.
RECORDS = [{"image": 1000 * n + torch.arange(256).reshape(1, 16, 16)} for n in range(4)]


def patches_of(size, *before):
    crop = RandPairedCropd("image", size, 2, reference="image")
    return Compose([*before, crop, RandSymmetryd("image", flips_only=True)])


def make(seed=0):
    transform = {"image": patches_of(4), "label": patches_of(8)}
    return UnpairedDataset({"image": RECORDS[:3], "label": RECORDS}, transform, seed=seed)


def drawn(patch):
    """Return the record, the corner and the flips that made a patch."""
    record, corner = divmod(int(patch.min()), 1000)
    return record, corner, (bool(patch[0, 1, 0] < patch[0, 0, 0]), bool(patch[0, 0, 1] < patch[0, 0, 0]))


def test_an_item_is_a_function_of_seed_and_number_alone():
    one, other = make(), make()
    for draw in range(7):
        other[draw]  # drawing others in between changes nothing
    assert len(one) == 4 and one[3].keys() == {"image", "label"}
    assert one[3]["image"].shape == (1, 4, 4) and one[3]["label"].shape == (1, 8, 8)
    for key in ("image", "label"):
        assert torch.equal(one[3][key], other[3][key])
        assert not torch.equal(one[3][key], make(seed=1)[3][key])


@pytest.mark.parametrize(("part", "choices"), [(0, 4), (1, 13**2), (2, 4)])
def test_domains_agree_in_record_corner_and_flips_as_often_as_chance_has_it(part, choices):
    """Both domains are the same here: were their draws linked, they would always agree."""
    items = UnpairedDataset({"image": RECORDS, "label": RECORDS}, patches_of(4))
    alike = sum(drawn(items[n]["image"])[part] == drawn(items[n]["label"])[part] for n in range(400))
    expected = 400 / choices
    assert abs(alike - expected) < 4 * expected**0.5


def test_domains_of_a_data_set_may_differ_in_number_names_and_size(tmp_path):
    for number in range(3):
        write(tmp_path / "train" / "fast" / f"quick_{number}.tif", (12, 12), value=1)
    write(tmp_path / "train" / "slow" / "a.tif", (30, 20), value=2)
    write(tmp_path / "validation" / "slow" / "b.tif", (30, 20), value=2)
    data = {
        key: pairs(tmp_path, folders={"image": folder}, reference="image", patch_size=8)
        for key, folder in {"image": "fast", "label": "slow"}.items()
    }
    patches = UnpairedDataset(data, patches_of(8, OpenVolumed("image")))
    loader = PatchLoader(patches, batch_size=3, epoch_length=2)
    for batch in islice(loader, 2):
        assert torch.equal(batch["image"], torch.full((3, 1, 8, 8), 1, dtype=torch.uint8))
        assert torch.equal(batch["label"], torch.full((3, 1, 8, 8), 2, dtype=torch.uint8))
