"""What every bundle promises; a new bundle is found by itself."""

from __future__ import annotations

import csv
import json
import re
import shutil

import numpy as np
import pytest
import tifffile
import torch
from monai.bundle import ConfigParser, ckpt_export, onnx_export, verify_metadata, verify_net_in_out

from rockmonai.bundle import check_config
from rockmonai.errors import find_rock_error
from rockmonai.inferers import footprint
from rockmonai.volumes import open_volume
from tests.bundles.runs import (
    BUNDLES,
    config_of,
    inputs_of,
    tiny,
    tiny_evaluation,
    tiny_inference,
    tiny_network,
    train,
    workflow,
    write_small_set,
)
from tests.handlers.test_checkpoints import assert_same

NAMES = sorted(path.parents[1].name for path in BUNDLES.glob("*/configs/metadata.json"))
WORKFLOWS = {"train": "train", "evaluate": "infer", "inference": "infer"}
OVERLAYS = [
    ("train",),
    ("train", "paper"),
    ("evaluate",),
    ("evaluate", "paper"),
    ("evaluate", "original_protocol"),
    ("evaluate", "paper", "original_protocol"),
    ("inference", "sliding_window"),
    ("inference", "paper", "sliding_window"),
]
every_bundle = pytest.mark.parametrize("bundle", NAMES)


def config(bundle, name):
    return json.loads((BUNDLES / bundle / "configs" / f"{name}.json").read_text())


@pytest.fixture(scope="module", params=NAMES)
def trained(request, tmp_path_factory):
    """A bundle trained for an instant, and its data set."""
    folder = tmp_path_factory.mktemp(request.param)
    dataset = write_small_set(folder / "set", request.param)
    train(request.param, dataset, folder / "run")
    return request.param, dataset, folder / "run"


@pytest.fixture
def small_set(bundle, tmp_path):
    """A data set for the bundle of the test."""
    return write_small_set(tmp_path / "set", bundle)


def channels_of(bundle):
    """The channels that a bundle's network takes."""
    return config(bundle, "metadata")["network_data_format"]["inputs"]["image"]["num_channels"]


def scale_of(bundle):
    """The scale of a bundle that :func:`tiny_network` leaves."""
    return tiny_network(bundle).get("scale", 1)


@every_bundle
def test_has_its_seven_configs_its_guide_and_its_licence(bundle):
    folder = BUNDLES / bundle
    configs = {"metadata", "train", "evaluate", "inference", "multi_gpu_train", "paper"}
    assert {path.stem for path in (folder / "configs").glob("*.json")} >= configs
    for path in ("configs/logging.conf", "docs/README.md", "LICENSE"):
        assert (folder / path).stat().st_size > 100


@every_bundle
def test_train_reads_as_a_story(bundle):
    text = (BUNDLES / bundle / "configs" / "train.json").read_text()
    assert text.count("\n") < 120
    assert text.count('"$') <= 6
    assert max(map(len, text.splitlines())) <= 145


def side_of(network):
    """The number whose multiples are the sides that a network takes, from its definition."""
    if "generator" in network:
        return side_of(network["generator"])
    name = network["_target_"].rpartition(".")[2]
    levels = 2 ** network.get("levels", 8)
    sides = {"UNetGenerator": levels, "UNet": levels, "StackedUNets": levels, "ResNetGenerator": 4, "ScalingUNet": 4}
    return sides.get(name, 1)


def sizes_of(config):
    """Yield the sizes of all windows that a config gives, wherever they are in it."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        if key == "patch_sizes":  # of every scale
            yield from np.concatenate([np.atleast_1d(size) for size in value.values()])
        elif isinstance(value, dict | list):
            yield from sizes_of(value)
        elif key in ("patch_size", "roi_size") and isinstance(value, int):
            yield value


@every_bundle
@pytest.mark.parametrize("names", OVERLAYS, ids="+".join)
def test_every_window_fits_the_network(bundle, names):
    if not (BUNDLES / bundle / "configs" / f"{names[-1]}.json").exists():
        pytest.skip(f"{bundle} has no {names[-1]}.json")
    merged = config_of(bundle, *names)
    side, sizes = side_of(merged["network_def"]), list(sizes_of(merged))
    assert sizes and all(size % side == 0 for size in sizes)
    if "paper" not in names:
        assert {*config(bundle, "metadata")["footprint"]["stride"]} == {side}


@every_bundle
@pytest.mark.parametrize("name", ["train", "evaluate", "inference"])
def test_expressions_only_refer(bundle, name):
    """An expression names things of the config; whatever needs Python has a name in the library."""
    for expression in re.findall(r'"(\$[^"]*)"', (BUNDLES / bundle / "configs" / f"{name}.json").read_text()):
        assert not re.search(r"\b(lambda|import|for|glob|os)\b|\[|\bf'", expression), expression


@every_bundle
def test_the_network_is_the_same_everywhere(bundle):
    definitions = [config(bundle, name)["network_def"] for name in WORKFLOWS]
    assert definitions[0] == definitions[1] == definitions[2]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_id_can_be_built(name, tmp_path, trained):
    bundle, small_set, run = trained
    small = {
        "train": tiny(bundle),
        "evaluate": tiny_evaluation(bundle),
        "inference": tiny_inference(bundle) | inputs_of(bundle, small_set),
    }
    override = small[name] | {"dataset_dir": str(small_set), "output_dir": str(tmp_path / "out")}
    if name != "train":
        override |= {"ckpt_dir": str(run)}
    flow = workflow(bundle, name, WORKFLOWS[name], **override)
    assert flow.check_properties() == []
    for key in list(flow.parser.ref_resolver.items):
        if key and not key.startswith(("_meta_", "run", "initialize", "finalize")) and "_target_" not in key:
            flow.parser.get_parsed_content(key)


@every_bundle
def test_metadata_is_valid(bundle, tmp_path):
    schema = str(BUNDLES.parent / "tests" / "bundles" / "meta_schema.json")
    verify_metadata(meta_file=str(BUNDLES / bundle / "configs" / "metadata.json"), filepath=schema)
    spoiled = tmp_path / "metadata.json"
    spoiled.write_text(json.dumps({key: value for key, value in config(bundle, "metadata").items() if key != "task"}))
    with pytest.raises(ValueError, match="'task' is a required property"):
        verify_metadata(meta_file=str(spoiled), filepath=schema)


@every_bundle
def test_metadata_says_what_the_network_reads(bundle):
    parser = ConfigParser(config(bundle, "inference"))
    network, dims = (parser.get_parsed_content(key) for key in ("network_def", "spatial_dims"))
    assert config(bundle, "metadata")["footprint"] == footprint(network, dims, channels_of(bundle)).as_dict()


@every_bundle
def test_network_takes_and_gives_what_the_metadata_says(bundle):
    folder = BUNDLES / bundle / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(folder / "metadata.json"),
        config_file=str(folder / "inference.json"),
        device="cpu",
        p=1,
        n=2,  # batch norm, which MONAI leaves in training mode here, wants more than one voxel at the deepest level
    )
    # MONAI compares channels and dtype; the factor between the sizes is ours to check.
    formats = config(bundle, "metadata")["network_data_format"]
    sizes = [
        [eval(size, {"n": 2}) for size in formats[side][name]["spatial_shape"]]
        for side, name in (("inputs", "image"), ("outputs", "pred"))
    ]
    network = ConfigParser(config(bundle, "inference")).get_parsed_content("network_def")
    with torch.no_grad():
        assert list(network(torch.zeros(1, channels_of(bundle), *sizes[0])).shape[2:]) == sizes[1]


def test_training_leaves_what_it_promises(trained):
    bundle, _, run = trained
    for name in ("model.pt", "config.json", "metrics.csv", "previews/epoch_001.png", "previews/epoch_002.png"):
        assert (run / name).stat().st_size > 0
    assert list(run.glob("checkpoint_*.pt")) and list(run.glob("events.out.tfevents.*"))
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    (key_metric,) = config(bundle, "train")["validate"]["key_metric"]
    assert all(float(row[key_metric]) > 0 for row in rows)
    assert json.loads((run / "config.json").read_text())["epochs"] == 2


def test_a_resumed_training_ends_as_one_that_was_never_interrupted(trained, tmp_path):
    bundle, dataset, run = trained
    output = shutil.copytree(run, tmp_path / "run")
    for late in [*output.glob("model*"), *sorted(output.glob("checkpoint_*.pt*"))[-2:]]:
        late.unlink()
    assert [path.name for path in output.glob("checkpoint_*.pt")] == ["checkpoint_00000003.pt"]
    train(bundle, dataset, output, resume=True)
    ends, expected = (torch.load(folder / "checkpoint_00000006.pt", weights_only=True) for folder in (output, run))
    assert ends["trainer"]["iteration"] == 6
    assert_same(ends, expected)


def test_evaluation_scores_every_image(trained, tmp_path):
    bundle, dataset, run = trained
    files = {"dataset_dir": str(dataset), "ckpt_dir": str(run), "output_dir": str(tmp_path)}
    workflow(bundle, "evaluate", "infer", **tiny_evaluation(bundle), **files).run()
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert [row["name"] for row in rows] == ["rock0", "rock1"]
    report = json.loads((tmp_path / "scores.json").read_text())
    evaluate = config(bundle, "evaluate")
    assert report["images"] == 2
    assert set(report["metrics"]) == {*evaluate["key_metric"], *evaluate["other_metrics"]}
    if "baseline" not in evaluate["handlers"][0]:
        return
    assert report["data_range"] == 2.0
    if "val_patches" in evaluate or evaluate["folders"]["image"] == evaluate["folders"]["label"]:
        return  # the windows and their damage are drawn, see test_image_repair.py; or all images are made

    # The baseline's column again, from files to decibels, by PIL and scikit-image.
    from PIL import Image
    from skimage.metrics import peak_signal_noise_ratio

    folders, baseline = evaluate["folders"], "bicubic" if scale_of(bundle) > 1 else "input"
    for row in rows:
        image, label = (
            tifffile.imread(dataset / "test" / folders[key] / f"{row['name']}.tif").astype(np.float32)
            for key in ("image", "label")
        )
        enlarged = np.asarray(Image.fromarray(image).resize(label.shape[::-1], Image.Resampling.BICUBIC)).clip(0, 255)
        assert float(row[f"psnr_{baseline}"]) == pytest.approx(
            peak_signal_noise_ratio(label, enlarged, data_range=255), abs=1e-3
        )
    mean = np.mean([float(row[f"psnr_{baseline}"]) for row in rows])
    assert report["metrics"][f"psnr_{baseline}"]["mean"] == pytest.approx(mean)


@pytest.mark.parametrize(("dtype", "suffix"), [("uint8", ".tif"), ("uint16", ".ome.zarr")])
def test_inference_keeps_dtype_and_divides_the_spacing(trained, tmp_path, dtype, suffix):
    bundle, _, run = trained
    scan = tmp_path / "scan.tif"
    grey = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (20, 30)).astype(dtype)
    tifffile.imwrite(scan, grey, imagej=True, resolution=(1 / 3.0, 1 / 3.0), metadata={"unit": "um"})
    output = tmp_path / f"fine{suffix}"
    files = {key: value for key, value in config(bundle, "inference").items() if key.endswith("_file")}
    inputs = [key for key, value in files.items() if key != "output_file" and value is not None]
    files = {"output_file": str(output), "ckpt_dir": str(run)} | dict.fromkeys(inputs, str(scan))
    if "semantic_file" in files:
        files["semantic_file"] = str(tmp_path / "classes.tif")
        tifffile.imwrite(files["semantic_file"], grey % 4)
    as_it_is = {"pixel_size": None} if "pixel_size" in config(bundle, "inference") else {}
    workflow(bundle, "inference", "infer", **tiny_inference(bundle), **files, **as_it_is, block_size=16).run()
    fine, scale = open_volume(output), scale_of(bundle)
    assert fine.shape == (1, 20 * scale, 30 * scale)
    assert fine.dtype == (config(bundle, "inference")["output_dtype"] or dtype)
    assert fine.spacing == pytest.approx((3.0 / scale, 3.0 / scale))


def export(trained, how, filepath, **options):
    """Export a trained bundle with one of MONAI's verbs; return an image and what the network itself makes of it."""
    bundle, _, run = trained
    folder = BUNDLES / bundle / "configs"
    how(
        net_id="network_def",
        filepath=str(filepath),
        ckpt_file=str(run / "model.pt"),
        meta_file=str(folder / "metadata.json"),
        config_file=str(folder / "inference.json"),
        **options,
        **tiny_network(bundle),
    )
    parser = ConfigParser(config(bundle, "inference"))
    parser.update(tiny_network(bundle))
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(run / "model.pt", weights_only=True))
    image = torch.rand(1, channels_of(bundle), 24, 24)
    with torch.no_grad():
        return image, network(image)


def test_export_to_torchscript_gives_the_same_numbers(trained, tmp_path):
    image, expected = export(trained, ckpt_export, tmp_path / "model.ts")
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(image), expected)


def test_export_to_onnx_gives_the_same_numbers(trained, tmp_path):
    import onnxruntime

    shape = [1, channels_of(trained[0]), 24, 24]
    image, expected = export(trained, onnx_export, tmp_path / "model.onnx", input_shape=shape)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (output,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    np.testing.assert_allclose(output, expected.numpy(), atol=1e-5)


def brief(bundle):
    """Overrides that make one step of a bundle's published recipe, whose options are its own."""
    warmup = {"warmup_epochs": 0} if "warmup_epochs" in config(bundle, "train") else {}
    return warmup | {"num_workers": 0, "epochs": 1, "epoch_length": 1, "patch_size": 32}


@every_bundle
def test_paper_recipe_trains_at_full_size_of_options(bundle, small_set, tmp_path):
    flow = train(bundle, small_set, tmp_path / "run", ["train", "paper"], **brief(bundle))
    optimizer, schedule = (flow.parser.get_parsed_content(key) for key in ("optimizer", "lr_scheduler"))
    for _ in range(10 - schedule.last_epoch):
        schedule.step()
    # EDSRGAN's rate falls tenfold in 100 epochs; those of pix2pix keep it for 50, the shale's for all of their 5.
    expected = 0.1 ** (10 / 100) if bundle == "edsrgan" else 1
    assert schedule.get_last_lr()[0] / optimizer.defaults["lr"] == pytest.approx(expected, rel=0.01)


@every_bundle
def test_volumes_are_one_override_away(bundle, tmp_path):
    parser = ConfigParser(config(bundle, "train"))
    parser.update({"spatial_dims": 3} | ({"scale": scale_of(bundle)} if "scale" in parser else {}))
    rock = parser.get_parsed_content("dataset_dir")
    train(bundle, rock, tmp_path / "run", spatial_dims=3, epochs=1, epoch_length=2)
    assert (tmp_path / "run" / "model.pt").is_file()


@every_bundle
@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ({"epochss": 3}, r"no key 'epochss' \(did you mean 'epochs'\?\)"),
        ({"train#trainer#max_epoch": 3}, r"'train#trainer#max_epoch' is no argument of .*did you mean 'max_epochs'"),
        ({"widht": 8}, r"#widht' is no argument of .*did you mean 'width'"),
        ({"train#epochs": 3}, "no key 'train#epochs'"),
    ],
)
def test_misspelt_override_is_an_error_before_training(bundle, override, sentence, small_set, tmp_path):
    if "widht" in override:
        (width,) = (key for key in tiny_network(bundle) if key.endswith("#width"))
        override = {width.replace("width", "widht"): 8}
    with pytest.raises(Exception) as caught:
        train(bundle, small_set, tmp_path / "run", **override)
    assert re.search(sentence, str(find_rock_error(caught.value)))
    assert not (tmp_path / "run").exists()


def test_a_key_that_an_override_left_without_a_reader_is_still_right(trained, tmp_path):
    bundle, dataset, run = trained
    override = tiny_evaluation(bundle) | {
        "dataset_dir": str(dataset),
        "output_dir": str(tmp_path),
        "ckpt_dir": "elsewhere",
    }
    workflow(bundle, "evaluate", "infer", ckpt_path=str(run / "model.pt"), **override).run()
    assert (tmp_path / "scores.json").is_file()


@every_bundle
@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_config_holds_a_key_that_nothing_reads(bundle, name):
    check_config(config(bundle, name))


@every_bundle
def test_paper_overlay_evaluates_what_it_trained(bundle, small_set, tmp_path):
    train(bundle, small_set, tmp_path / "run", ["train", "paper"], **brief(bundle))
    files = {"dataset_dir": str(small_set), "ckpt_dir": str(tmp_path / "run"), "output_dir": str(tmp_path / "scores")}
    override = tiny_evaluation(bundle, "paper") | {"num_workers": 0}
    workflow(bundle, ["evaluate", "paper"], "infer", **files, **override).run()
    assert (tmp_path / "scores" / "scores.json").is_file()


@every_bundle
def test_evaluation_overwrites_scores_and_nothing_else(bundle, small_set, tmp_path):
    train(bundle, small_set, tmp_path / "run", epochs=1)
    before = {path.name for path in (tmp_path / "run").iterdir()}
    same = {"dataset_dir": str(small_set), "ckpt_dir": str(tmp_path / "run"), "output_dir": str(tmp_path / "run")}
    for _ in range(2):
        workflow(bundle, "evaluate", "infer", **tiny_evaluation(bundle) | same, overwrite=True).run()
    maps = {"confusion.csv", "classes", "colours", "uncertainty"} if "colours" in config(bundle, "inference") else set()
    kept = {"examples"} if "rockmonai.handlers.Examples" in str(config(bundle, "evaluate")) else set()
    assert {path.name for path in (tmp_path / "run").iterdir()} - before == {"scores.csv", "scores.json", *maps, *kept}


@every_bundle
def test_two_scans_in_a_row_need_no_permission(bundle, small_set, tmp_path):
    train(bundle, small_set, tmp_path / "run", epochs=1)
    for name in ("rock0", "rock1"):
        output = tmp_path / f"fine_{name}.tif"
        override = tiny_inference(bundle) | {"ckpt_dir": str(tmp_path / "run"), "output_file": str(output)}
        workflow(bundle, "inference", "infer", **override | inputs_of(bundle, small_set, name)).run()
        assert output.is_file()


@every_bundle
def test_rate_falls_when_the_metric_stays(bundle, small_set, tmp_path):
    """ReduceLROnPlateau is one replaced component away."""
    plateau = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "optimizer": "@optimizer", "mode": "max"}
    handler = {
        "_target_": "LrScheduleHandler",
        "lr_scheduler": "@lr_scheduler",
        "step_transform": {"_target_": "rockmonai.handlers.key_metric_of", "validator": "@validate#evaluator"},
    }
    handlers = config(bundle, "train")["train"]["handlers"]
    place = next(n for n, given in enumerate(handlers) if given.get("lr_scheduler") == "@lr_scheduler")
    rule = {
        "lr_scheduler": plateau | {"patience": 0, "threshold": 1000.0, "factor": 0.5},
        f"train__handlers__{place}": handler,
    }
    train(bundle, small_set, tmp_path / "run", epochs=3, **rule)
    rates = [float(row["lr"]) for row in csv.DictReader((tmp_path / "run" / "metrics.csv").open())]
    lr = config(bundle, "train")["lr"]
    assert rates == pytest.approx([lr, lr, lr / 2])


@every_bundle
@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0; it must be a whole number"),
        ({"epochs": "ten"}, "epochs is 'ten'; it must be a whole number"),
        ({"spatial_dims": 4}, "spatial_dims is 4"),
        ({"num_workers": -1}, "num_workers is -1; it must be a whole number of 0 or more"),
        ({"resume": True, "overwrite": True}, "resume and overwrite are both true"),
        ({"device": "gpu"}, "The device 'gpu' is not there"),
        ({"amp": "half"}, "amp is 'half'"),
        ({"inferer": "x"}, "no key 'inferer'"),
    ],
)
def test_impossible_value_is_an_error_before_training(bundle, override, sentence, small_set, tmp_path):
    with pytest.raises(Exception) as caught:
        train(bundle, small_set, tmp_path / "run", **override)
    error = find_rock_error(caught.value)
    assert error is not None and error.exit_code == 2 and sentence in str(error)
