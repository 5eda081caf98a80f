import pickle

import numpy as np
import pytest
import torch
from monai.transforms import Compose

from rockmonai.errors import DataError, NoWindow, UsageError
from rockmonai.transforms import MinFraction, NotBlank, RandPairedCropd


class Lazy:
    """A volume that tells how much of it was read."""

    def __init__(self, values, path="scan.tif"):
        self.values, self.path, self.shape, self.read = values, path, values.shape, 0

    def __getitem__(self, index):
        self.read += self.values[index].size
        return self.values[index]


def coordinates(shape, scale=1, dtype=np.int32):
    """Return an image whose channels are the coordinates of each voxel's corner on the fine grid."""
    return np.stack(np.meshgrid(*[np.arange(n) * scale for n in shape], indexing="ij")).astype(dtype)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shape", [(10, 13), (7, 6, 8)])
def test_the_coarse_corner_times_the_scale_is_the_fine_corner(shape, scale):
    pair = {"image": coordinates(shape, scale), "label": coordinates([n * scale for n in shape])}
    transform = RandPairedCropd(["image", "label"], 4 * scale, spatial_dims=len(shape))
    corners = set()
    for seed in range(300):
        cut = transform.set_random_state(seed)(pair)
        assert cut["label"].shape[1:] == (4 * scale,) * len(shape)
        assert torch.equal(cut["image"], cut["label"][(slice(None), *[slice(None, None, scale)] * len(shape))])
        corners.add(tuple(cut["label"].flatten(1)[:, 0].tolist()))
    # Each corner from the first to the last voxel is drawn, as far as 300 draws can show it axis by axis.
    for axis, n in enumerate(shape):
        assert {corner[axis] for corner in corners} == {scale * i for i in range(n - 3)}


def test_any_number_of_keys_is_cut_at_its_own_scale():
    fine = coordinates((24, 36))
    record = {"label": fine, "image": coordinates((6, 9), 4), "charge": fine[:1], "semantic": coordinates((12, 18), 2)}
    cut = RandPairedCropd(["label", "image", "charge", "semantic"], (8, 12), 2).set_random_state(1)(record)
    assert torch.equal(cut["charge"], cut["label"][:1])
    assert torch.equal(cut["semantic"], cut["label"][:, ::2, ::2])
    assert torch.equal(cut["image"], cut["label"][:, ::4, ::4])


def test_only_the_window_is_read():
    pair = {"image": Lazy(np.zeros((1, 50, 50, 50), "u1")), "label": Lazy(np.zeros((1, 100, 100, 100), "u1"))}
    RandPairedCropd(["image", "label"], 16, 3)(pair)
    assert (pair["image"].read, pair["label"].read) == (8**3, 16**3)


def test_a_2d_patch_of_a_volume_is_the_same_slice_of_every_key():
    record = {"image": coordinates((5, 8, 8)), "label": coordinates((5, 16, 16))}
    transform = RandPairedCropd(["image", "label"], 8, spatial_dims=2)
    slices = set()
    for seed in range(60):
        cut = transform.set_random_state(seed)(record)
        assert cut["label"].shape == (3, 8, 8) and cut["image"].shape == (3, 4, 4)
        z = torch.cat([cut["label"][0].flatten(), cut["image"][0].flatten()]).unique().tolist()
        assert len(z) == 1
        slices.update(z)
    assert slices == {0, 1, 2, 3, 4}


def test_2d_patches_want_as_many_slices_on_every_side():
    with pytest.raises(DataError, match="4 slices"):
        RandPairedCropd(["image", "label"], 4, 2)({"image": np.zeros((1, 4, 4, 4)), "label": np.zeros((1, 8, 8, 8))})


def test_a_region_limits_the_window_up_to_its_last_voxel():
    transform = RandPairedCropd("label", 3, spatial_dims=2)
    record = {"label": coordinates((20, 20)), "roi": [[5, 10], [12, 20]]}
    seen = torch.cat([transform.set_random_state(seed)(record)["label"].flatten(1) for seed in range(100)], dim=1)
    assert seen.amin(1).tolist() == [5, 12]
    assert seen.amax(1).tolist() == [9, 19]
    assert "roi" not in transform(record)


def test_without_a_patch_size_the_whole_is_cut_to_a_multiple_of_the_scale():
    cut = RandPairedCropd(["image", "label"], None, 2)(
        {"image": coordinates((5, 6), 4), "label": coordinates((21, 27))}
    )
    assert cut["label"].shape == (2, 20, 24)
    assert torch.equal(cut["image"], cut["label"][:, ::4, ::4])


def test_a_whole_image_that_stands_in_for_both_sides_is_cut_to_the_multiple_asked_for():
    label = coordinates((61, 63))
    transform = RandPairedCropd(["image", "label"], None, 2, multiple=4)
    for seed in range(5):
        cut = transform.set_random_state(seed)({"image": label, "label": label})
        assert np.array_equal(cut["image"], label[:, :60, :60]) and np.array_equal(cut["label"], label[:, :60, :60])
    cut = transform({"image": label, "label": label, "roi": [[40, 61], [0, 63]]})
    assert np.array_equal(cut["label"], label[:, 40:60, :60])


def test_a_multiple_leaves_patches_and_the_slices_of_a_volume_alone():
    label = coordinates((3, 9, 9))
    transform = RandPairedCropd("label", None, 2, multiple=4)
    slices = {int(transform.set_random_state(seed)({"label": label})["label"][0, 0, 0]) for seed in range(30)}
    assert slices == {0, 1, 2}
    assert RandPairedCropd("label", 3, 2, multiple=4)({"label": label})["label"].shape == (3, 3, 3)


def test_misalignment_moves_one_key_by_whole_voxels():
    record = {"image": coordinates((20, 20)), "label": coordinates((20, 20)), "charge": coordinates((20, 20))}
    transform = RandPairedCropd([*record], 16, 2, misalign={"image": [2, -3]})
    for seed in range(20):
        cut = transform.set_random_state(seed)(record)
        assert (cut["image"] - cut["label"]).flatten(1).unique(dim=1).flatten().tolist() == [2, -3]
        assert torch.equal(cut["charge"], cut["label"])


def test_unaligned_keys_have_windows_of_their_own_in_their_own_voxels():
    pair = {"image": coordinates((50, 50)), "label": coordinates((70, 70))}
    transform = RandPairedCropd(["image", "label"], 8, 2, aligned=False)
    corners = set()
    for seed in range(100):
        cut = transform.set_random_state(seed)(pair)
        assert cut["image"].shape == cut["label"].shape == (2, 8, 8)
        corners.add((int(cut["image"][0, 0, 0]), int(cut["label"][0, 0, 0])))
    image, label = np.array([*corners]).T
    # Independent draws are not correlated, and reach into the last tenth of either side.
    assert abs(np.corrcoef(image, label)[0, 1]) < 0.3
    assert image.max() > 38 and label.max() > 56


def test_sizes_that_look_like_a_scale_are_none_without_alignment():
    pair = {"image": coordinates((50, 50)), "label": coordinates((100, 100))}
    cut = RandPairedCropd(["image", "label"], 15, 2, aligned=False)(pair)
    assert cut["image"].shape == cut["label"].shape == (2, 15, 15)
    cut = RandPairedCropd(["image", "label"], {"image": 8, "label": (32, 16)}, 2, aligned=False)(pair)
    assert cut["image"].shape == (2, 8, 8) and cut["label"].shape == (2, 32, 16)


def test_unaligned_images_and_volumes_may_be_mixed():
    pair = {"image": coordinates((50, 50)), "label": coordinates((4, 30, 30))}
    cut = RandPairedCropd(["image", "label"], 8, 2, aligned=False)(pair)
    assert cut["image"].shape == (2, 8, 8) and cut["label"].shape == (3, 8, 8)


def test_a_region_keeps_unaligned_windows_to_the_same_share_of_every_key():
    pair = {"image": coordinates((50, 20)), "label": coordinates((100, 30)), "roi": [[75, 100], [0, 30]]}
    transform = RandPairedCropd(["image", "label"], 8, 2, aligned=False)
    cuts = [transform.set_random_state(seed)(pair) for seed in range(100)]
    assert {int(cut["image"][0, 0, 0]) for cut in cuts} == {37, 38, 39, 40, 41, 42}
    assert {int(cut["label"][0, 0, 0]) for cut in cuts} == set(range(75, 93))


@pytest.mark.parametrize(("sizes", "aligned"), [({"image": 8, "label": 32}, True), ({"image": 8}, False)])
def test_a_size_for_each_key_is_for_all_of_the_unaligned(sizes, aligned):
    with pytest.raises(UsageError, match=r"aligned=False and all of image, label"):
        RandPairedCropd(["image", "label"], sizes, 2, aligned=aligned)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", ">i2", ">f4", "f8"])
def test_dtypes_survive_in_native_order(dtype):
    label = coordinates((6, 6), dtype=dtype)
    cut = RandPairedCropd("label", 6, 2)({"label": label})["label"]
    assert cut.numpy().dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(cut.numpy(), label)


def test_windows_own_their_memory():
    for label in (np.zeros((1, 8, 8), "f4"), torch.zeros(1, 8, 8)):
        RandPairedCropd("label", 4, 2)({"label": label})["label"].fill_(1)
        assert not label.any()


def test_only_windows_that_meet_the_rules_are_taken():
    charge = np.zeros((1, 40, 40), "u1")
    charge[:, :, 20:] = 1
    record = {"label": coordinates((40, 40)), "charge": charge}
    transform = RandPairedCropd([*record], 10, 2, accept=[MinFraction(0.95, zero="charge")])
    for seed in range(50):
        assert transform.set_random_state(seed)(record)["charge"].sum() == 0


def test_a_hopeless_image_is_reported_with_the_best_that_was_found():
    charge = np.zeros((1, 8, 8), "u1")
    charge[:, ::2] = 1
    record = {"label": Lazy(np.ones((1, 8, 8)), "bad/SEM007.tif"), "charge": charge}
    transform = RandPairedCropd([*record], 4, 2, accept=[MinFraction(0.95, zero="charge")], max_tries=7)
    with pytest.raises(NoWindow, match=r"bad/SEM007\.tif .* 7 tries .*charge = 0 in 95%.* best 50\.0%"):
        transform(record)
    assert record["label"].read == 7 * 16


def test_windows_beside_the_sample_are_not_taken():
    label = np.zeros((1, 80, 80), np.float32)
    label[:, 40:, 40:] = np.random.default_rng(0).normal(-1, 0.2, (40, 40))
    transform = RandPairedCropd("label", 16, 2, accept=[NotBlank(0.1)])
    for seed in range(30):
        assert (transform.set_random_state(seed)({"label": label})["label"] != 0).float().mean() >= 0.1


def test_3d_patches_of_a_single_image_are_refused():
    with pytest.raises(DataError, match="single image"):
        RandPairedCropd("label", 4, 3)({"label": np.zeros((1, 8, 8))})


def test_a_seed_repeats_the_window_in_a_compose_and_after_pickling():
    transform = Compose([RandPairedCropd("label", 4, 2)])
    copy = pickle.loads(pickle.dumps(transform))
    record = {"label": coordinates((50, 50))}
    for seed in range(5):
        window = transform.set_random_state(seed)(record)["label"]
        assert torch.equal(window, copy.set_random_state(seed)(record)["label"])
