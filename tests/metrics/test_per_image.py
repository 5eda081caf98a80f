from __future__ import annotations

import math

import pytest
import torch
from ignite.engine import Engine
from monai.engines import SupervisedEvaluator
from skimage.metrics import peak_signal_noise_ratio

from rockmonai.errors import DataError, NumericalError
from rockmonai.metrics import PSNR, SSIM, PerImageMetric, PSNR8bit, SSIM8bit


def evaluate(batches: list[dict], decollate: bool = True, **others: PerImageMetric) -> SupervisedEvaluator:
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=batches,
        network=torch.nn.Identity(),
        key_val_metric={"psnr": PSNR()},
        additional_metrics={"ssim": SSIM(), **others},
        decollate=decollate,
    )
    evaluator.run()
    return evaluator


@pytest.fixture(name="batches")
def _batches() -> list[dict]:
    torch.manual_seed(0)
    return [{"image": torch.rand(count, 1, 16, 16), "label": torch.rand(count, 1, 16, 16)} for count in (2, 1)]


@pytest.mark.parametrize("decollate", [True, False])
def test_an_evaluator_keeps_the_value_of_every_image(batches, decollate):
    state = evaluate(batches, decollate).state
    expected = [
        peak_signal_noise_ratio(label.numpy(), image.numpy(), data_range=2)
        for batch in batches
        for image, label in zip(batch["image"], batch["label"], strict=True)
    ]
    assert state.metric_details["psnr"].flatten().tolist() == pytest.approx(expected, abs=1e-4)
    assert state.metrics["psnr"] == pytest.approx(sum(expected) / 3, abs=1e-4)
    assert state.metric_details["ssim"].shape == (3, 1)


def test_a_second_evaluation_starts_from_nothing(batches):
    evaluator = evaluate(batches)
    first = evaluator.state.metrics["psnr"]
    evaluator.run()
    assert evaluator.state.metrics["psnr"] == first
    assert len(evaluator.state.metric_details["psnr"]) == 3


@pytest.mark.parametrize(("key", "named"), [("image", "pred"), ("label", "label")])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_image_that_is_not_finite_stops_the_evaluation(batches, key, named, value):
    batches[0][key][1, 0, 3, :2] = value
    with pytest.raises(NumericalError, match=f"2 of the 256 values of '{named}' are NaN or infinite"):
        evaluate(batches)


def test_a_perfect_image_counts_as_infinite(batches):
    batches[0]["label"][0] = batches[0]["image"][0]
    assert evaluate(batches).state.metrics["psnr"] == math.inf


def test_other_keys_can_be_compared():
    engine = Engine(lambda *_: [{"image": torch.zeros(1, 4, 4), "label": torch.full((1, 4, 4), 2.0)}])
    PSNR(of="image", against="label", data_range=2).attach(engine, "before")
    assert engine.run([0]).metrics["before"] == pytest.approx(0, abs=1e-6)


def test_what_the_records_hold_can_be_judged_beside_the_prediction(batches):
    for batch in batches:
        batch["damaged"] = batch["label"] + 0.5
    state = evaluate(batches, psnr_input=PSNR(of="damaged", data_range=2)).state
    # A deviation of 0.5 everywhere in a range of 2.
    assert state.metrics["psnr_input"] == pytest.approx(20 * math.log10(2 / 0.5), abs=1e-4)
    assert state.metrics["psnr"] != state.metrics["psnr_input"]


def test_unequal_shapes_are_refused(batches):
    batches[0]["label"] = torch.rand(2, 1, 1, 16)
    with pytest.raises(DataError, match="Only images of one shape"):
        evaluate(batches)


def test_an_evaluation_of_nothing_is_refused():
    with pytest.raises(DataError, match="No image was judged"):
        PSNR().compute()


@pytest.mark.parametrize("decollate", [True, False])
def test_a_metric_of_a_region_leaves_out_the_images_that_have_none_of_it(batches, decollate):
    for batch in batches:
        batch["charge"] = torch.zeros(len(batch["image"]), 1, 16, 16, dtype=torch.uint8)
    batches[0]["charge"][1, 0, 2:7, 3:9] = 1
    state = evaluate(batches, decollate, psnr_charge=PSNR(within="charge")).state
    inside = [batches[0][key][1, 0, 2:7, 3:9].numpy() for key in ("label", "image")]
    expected = peak_signal_noise_ratio(*inside, data_range=2)
    assert state.metrics["psnr_charge"] == pytest.approx(expected, abs=1e-4)
    assert state.metric_details["psnr_charge"].isnan().flatten().tolist() == [True, False, True]


def test_a_region_that_no_image_has_leaves_the_metric_without_a_value(batches):
    for batch in batches:
        batch["charge"] = torch.zeros(len(batch["image"]), 1, 16, 16)
    metrics = evaluate(batches, psnr_charge=PSNR(within="charge"), ssim_charge=SSIM(within="charge")).state.metrics
    assert math.isnan(metrics["psnr_charge"]) and math.isnan(metrics["ssim_charge"])
    assert math.isfinite(metrics["psnr"])


def test_records_without_the_mask_have_no_value(batches):
    metrics = evaluate(batches, psnr_charge=PSNR(within="charge")).state.metrics
    assert math.isnan(metrics["psnr_charge"]) and metrics["psnr"] > 0


def test_what_is_judged_must_be_there(batches):
    with pytest.raises(DataError, match="needs 'bicubic', which the records do not have"):
        evaluate(batches, psnr_bicubic=PSNR(of="bicubic"))


def test_images_are_judged_where_the_label_is(monkeypatch):
    """A label is on the evaluator's device; what only the loader has seen, such as a mask, is not."""
    devices = []

    def function(pred, label, within):
        devices.extend(tensor.device.type for tensor in (pred, label, within))
        return torch.zeros(1)

    monkeypatch.setattr("rockmonai.metrics.per_image._check_finite", lambda key, image: None)
    image = torch.ones(1, 1, 4, 4)
    PerImageMetric(function, within="mask").update([image, image.to("meta"), image])
    assert devices == ["meta"] * 3


def test_eight_bit_metrics_take_part_in_an_evaluation(batches):
    metrics = evaluate(batches, psnr_8bit=PSNR8bit(), ssim_8bit=SSIM8bit()).state.metrics
    assert metrics["psnr_8bit"] == pytest.approx(metrics["psnr"], abs=0.1)
    assert 0 < metrics["ssim_8bit"] < 1
