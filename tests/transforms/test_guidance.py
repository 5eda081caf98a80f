from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from rockmonai.errors import DataError
from rockmonai.transforms import GuideByClassesd, GuideByMapd, class_channels
from rockmonai.transforms.guidance import gathered


def test_classes_become_one_channel_each():
    semantic = torch.tensor([[[0, 2], [1, 2]]])
    expected = 2 * F.one_hot(semantic[0], 3).permute(2, 0, 1).float() - 1
    torch.testing.assert_close(class_channels(semantic, 3), expected)
    assert class_channels(semantic.to(torch.uint8), 3, grey=True).tolist() == [[[-1, 1], [0, 1]]]


def test_a_finer_map_is_thinned_out_to_the_grid_of_the_image():
    coarse = torch.randint(0, 3, (1, 5, 6))
    fine = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    image = torch.randn(1, 5, 6)
    guided = GuideByClassesd("image", "abc")({"image": image, "semantic": fine})["image"]
    assert torch.equal(guided[:1], image) and torch.equal(guided[1:], class_channels(coarse, 3))


@pytest.mark.parametrize("dims", [2, 3])
def test_pieces_are_thinned_out_as_the_whole_is(dims):
    fine = torch.randint(0, 4, (1, *(24, 32, 16)[:dims]))
    guide = GuideByClassesd("image", "abcd")
    whole = guide({"image": torch.zeros(1, *(n // 4 for n in fine.shape[1:])), "semantic": fine})["image"]
    piece = guide({"image": torch.zeros(1, 3, *whole.shape[2:]), "semantic": fine[:, 8:20]})["image"]
    assert torch.equal(piece, whole[:, 2:5])


def test_no_voxel_of_a_finer_map_is_lost_where_detail_is_wanted():
    image, fine = torch.randn(1, 5, 6), torch.randint(0, 3, (1, 20, 24))
    guided = GuideByClassesd("image", "abc", detail=True)({"image": image, "semantic": fine})["image"]
    assert torch.equal(guided[1:], F.pixel_unshuffle(class_channels(fine, 3), 4))
    volume = torch.arange(4 * 6 * 8).view(1, 4, 6, 8)
    found = gathered(volume, (2, 3, 4))
    assert found.shape == (8, 2, 3, 4)
    assert found[0b101, 1, 2, 3] == volume[0, 2 * 1 + 1, 2 * 2 + 0, 2 * 3 + 1]
    with pytest.raises(DataError, match="a whole number of times finer"):
        gathered(fine, (6, 6))


@pytest.mark.parametrize("wrong", [3, 255, -1])
def test_numbers_that_are_no_classes_are_refused(wrong):
    with pytest.raises(DataError, match=f"from 0 to 2, found .*{wrong}"):
        class_channels(torch.tensor([[[0, wrong]]]), 3)


def test_a_record_without_a_map_is_refused():
    with pytest.raises(DataError, match="no class map 'semantic'"):
        GuideByClassesd("image", "abc")({"image": torch.zeros(1, 4, 4)})


@pytest.mark.parametrize("dims", [2, 3])
def test_a_finer_map_is_averaged_over_the_voxels_of_the_image(dims):
    image, fine = torch.randn(1, *(5, 6, 7)[:dims]), torch.rand(1, *(20, 24, 28)[:dims])
    pool = F.avg_pool2d if dims == 2 else F.avg_pool3d
    guided = GuideByMapd("image")({"image": image, "depth": fine})["image"]
    assert torch.equal(guided[:1], image)
    torch.testing.assert_close(guided[1:], pool(fine[None], 4)[0])
    piece = GuideByMapd("image")({"image": image[:, 1:3], "depth": fine[:, 4:12]})["image"]
    torch.testing.assert_close(piece, guided[:, 1:3])


def test_a_map_of_the_same_size_is_appended_as_it_is():
    image, depth = torch.randn(3, 5, 6), torch.rand(1, 5, 6)
    guided = GuideByMapd("image", map_key="z")({"image": image, "z": depth})["image"]
    torch.testing.assert_close(guided, torch.cat([image, depth]))


def test_a_record_without_the_map_of_a_quantity_is_refused():
    with pytest.raises(DataError, match="no map 'depth'"):
        GuideByMapd("image")({"image": torch.zeros(1, 4, 4)})
