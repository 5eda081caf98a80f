"""VGG-19: the published count and names, features by torch's own convolutions, and files that are not its weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from rockmonai.errors import ModelError, UsageError
from rockmonai.networks import VGG19Features, read_vgg19

# Positions and widths of the first convolutions, as torchvision has them.
FIRST = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128)}


def random_weights(shapes=FIRST, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for number, (out, into) in shapes.items():
        weights[f"features.{number}.weight"] = 0.05 * torch.randn(out, into, 3, 3, generator=generator)
        weights[f"features.{number}.bias"] = 0.1 * torch.randn(out, generator=generator)
    return weights


def written(path, content, **options):
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("layer", ["conv5_4", "relu5_4", "pool5"])
def test_all_convolutions_have_the_published_number_of_parameters(layer):
    with torch.device("meta"):
        network = VGG19Features(layer)
    assert sum(values.numel() for values in network.parameters()) == 20_024_384


def test_parameters_are_named_as_in_torchvision():
    with torch.device("meta"):
        names = list(VGG19Features("pool5").state_dict())
    positions = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    assert names == [f"features.{number}.{role}" for number in positions for role in ("weight", "bias")]


def test_features_are_those_of_the_layers_written_out(tmp_path):
    weights = random_weights()
    path = written(tmp_path / "vgg.pth", weights)
    image = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(1))

    def convolved(x, number):
        return F.conv2d(x, weights[f"features.{number}.weight"], weights[f"features.{number}.bias"], padding=1)

    expected = {"conv1_1": convolved(image, 0)}
    expected["conv1_2"] = convolved(expected["conv1_1"].clamp(min=0), 2)
    expected["relu1_2"] = expected["conv1_2"].clamp(min=0)
    expected["pool1"] = F.max_pool2d(expected["relu1_2"], 2)
    expected["conv2_1"] = convolved(expected["pool1"], 5)
    for layer, features in expected.items():
        torch.testing.assert_close(read_vgg19(path, layer)(image), features)


def test_reads_the_old_format_of_the_published_file_and_leaves_its_classifier(tmp_path):
    weights = random_weights() | {"classifier.0.weight": torch.zeros(3, 4)}
    path = written(tmp_path / "vgg.pth", weights, _use_new_zipfile_serialization=False)
    network = read_vgg19(path, "conv1_2")
    assert not network.training and not any(values.requires_grad for values in network.parameters())
    assert torch.equal(network.state_dict()["features.2.bias"], weights["features.2.bias"])


def test_reading_draws_no_random_number(tmp_path):
    path = written(tmp_path / "vgg.pth", random_weights())
    before = torch.get_rng_state()
    read_vgg19(path, "conv2_2")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("path", [None, "absent.pth"])
def test_without_a_file_it_tells_how_to_fetch_one(path):
    with pytest.raises(UsageError, match=r"curl -LO https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"):
        read_vgg19(path)


VGG16_ON = random_weights({**FIRST, 17: (512, 256)})  # where VGG-19 has a rectifier
WITH_NORMS = random_weights({0: (64, 3), 3: (64, 64)}) | {"features.1.weight": torch.ones(64)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (VGG16_ON, r"'features.17.weight' is of shape \(512, 256, 3, 3\) in the file and absent in the network"),
        (WITH_NORMS, "'features.2.weight' is absent in the file"),
        (random_weights({**FIRST, 5: (96, 64)}), r"'features.5.weight' is of shape \(96, 64, 3, 3\)"),
        ({"state_dict": random_weights()}, "'features.0.weight' is absent in the file"),
        ([1, 2], "holds a list"),
    ],
)
def test_weights_of_another_network_are_refused_with_the_first_difference(tmp_path, content, words):
    with pytest.raises(ModelError, match=words):
        read_vgg19(written(tmp_path / "other.pth", content), "conv2_2")


def test_a_layer_that_the_file_lacks_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"'features.10.weight' is absent in the file"):
        read_vgg19(written(tmp_path / "vgg.pth", random_weights()), "conv3_1")


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "page.pth").write_text("<html>404</html>")
    with pytest.raises(ModelError, match=r"page.pth cannot be read as the weights of VGG-19"):
        read_vgg19(tmp_path / "page.pth")


def test_an_unknown_layer_is_refused():
    with pytest.raises(UsageError, match=r"no layer 'conv5_5' \(did you mean 'conv5_4'"):
        VGG19Features("conv5_5")


def test_an_image_that_the_poolings_would_use_up_is_refused():
    network = VGG19Features("conv3_1")
    assert network(torch.zeros(1, 3, 4, 5)).shape == (1, 256, 1, 1)
    with pytest.raises(UsageError, match="4 x 4 pixels or more, found 3 x 8"):
        network(torch.zeros(1, 3, 3, 8))
