from __future__ import annotations

import csv
import json

import pytest
import torch
from monai.engines import SupervisedEvaluator
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from rockmonai.handlers import Scores
from rockmonai.metrics import (
    PSNR,
    AreaFractionError,
    BoundaryF,
    OtsuPhases,
    PerImageMetric,
    RoughnessError,
    SpecificSurfaceError,
    TwoPointError,
)

PORE = {"phase": 0, "phases": OtsuPhases(2)}


def rock(seed: int = 0, side: int = 64) -> torch.Tensor:
    """An image (1, Y, X) of greys from -1 to 1 that vary over a few voxels."""
    noise = torch.rand(side, side, generator=torch.Generator().manual_seed(seed)).numpy()
    greys = torch.from_numpy(ndimage.gaussian_filter(noise, 3, mode="wrap"))[None]
    return 2 * (greys - greys.min()) / (greys.max() - greys.min()) - 1


def value(metric: PerImageMetric, pred: torch.Tensor, label: torch.Tensor) -> float:
    metric.update([[pred], [label]])
    return metric.metric_fn.aggregate().item()


@pytest.mark.parametrize("classes", [2, 3])
def test_both_images_are_divided_by_the_thresholds_of_the_label(classes):
    label = torch.stack([rock(0), 0.5 * rock(1)])
    pred = label + 0.1
    found = OtsuPhases(classes)(pred, label)
    width = 2 / 256
    for phases, images in zip(found, (pred, label), strict=True):
        for number, image in enumerate(images):
            thresholds = threshold_multiotsu(label[number].numpy(), classes)
            away = abs(image[..., None].numpy() - thresholds).min(-1) > width  # from what rounding may decide
            expected = (image[..., None].numpy() >= thresholds).sum(-1)
            assert (phases[number].numpy() == expected)[away].all() and away.mean() > 0.9
            assert phases[number].unique().tolist() == list(range(classes))


def test_a_darker_prediction_shows_too_many_pores():
    label = rock()
    threshold = threshold_multiotsu(label.numpy(), 2)
    expected = ((label - 0.2).numpy() < threshold).mean() - (label.numpy() < threshold).mean()
    assert expected > 0.1
    assert value(AreaFractionError(**PORE), label - 0.2, label) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("metric", [BoundaryF, AreaFractionError, SpecificSurfaceError, RoughnessError, TwoPointError])
def test_greys_are_judged_as_their_phases_are(metric):
    label, pred = rock(0), 0.7 * rock(0) + 0.3 * rock(1)
    maps = [phases[0] for phases in OtsuPhases(2)(pred[None], label[None])]
    expected = value(metric(phase=0), *maps)
    assert expected not in (0, 1) and value(metric(**PORE), pred, label) == expected
    assert value(metric(**PORE), label.clone(), label) == (metric is BoundaryF)


def test_an_image_without_phases_has_no_value_and_the_scores_say_so(tmp_path):
    blank = torch.full((1, 64, 64), 0.5)
    records = [{"image": rock(n) * 0.9, "label": label, "name": f"{n}"} for n, label in enumerate([rock(0), blank])]
    metrics = {
        "porosity_error": AreaFractionError(**PORE),
        "surface_error": SpecificSurfaceError(**PORE),
        "roughness_error": RoughnessError(**PORE),
        "boundary_f": BoundaryF(**PORE),
        "two_point_error": TwoPointError(**PORE),
    }
    batches = [{key: value[None] if key != "name" else [value] for key, value in record.items()} for record in records]
    for names, given in (("both", batches), ("blank", batches[1:])):
        evaluator = SupervisedEvaluator(
            device=torch.device("cpu"),
            val_data_loader=given,
            network=torch.nn.Identity(),
            key_val_metric={"psnr": PSNR()},
            additional_metrics=metrics,
            val_handlers=[Scores(output_dir=str(tmp_path / names))],
        )
        evaluator.run()
        last = list(csv.DictReader((tmp_path / names / "scores.csv").open()))[-1]
        assert set(last) == {"name", "psnr", *metrics} and not any(last[name] for name in metrics)
        report = json.loads((tmp_path / names / "scores.json").read_text())["metrics"]
        assert report.pop("psnr")["images"] == len(given)
        assert all(figures["images"] == len(given) - 1 for figures in report.values())
        assert all((figures["mean"] is None) == (names == "blank") for figures in report.values())
