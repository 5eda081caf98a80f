from __future__ import annotations

import json
import math

import pytest
import torch
from ignite.engine import Engine

from rockmonai.handlers.history import History, as_csv
from rockmonai.handlers.on_failure import on_failure
from rockmonai.handlers.scores import Scores, side_by_side


def test_a_column_that_only_later_rows_have_is_empty_in_the_earlier_ones():
    assert as_csv([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "psnr": 30.0}]) == (
        "epoch,loss,psnr\n1,0.5,\n2,0.25,30.0\n"
    )


def test_scores_stand_beside_the_baseline_with_their_uncertainty():
    summary = {"psnr": (28.314, 0.123), "psnr_bicubic": (26.1, 0.2), "ssim": (0.8123, math.nan)}
    assert side_by_side(summary, "bicubic") == "PSNR 28.31 ± 0.12 (bicubic 26.1 ± 0.2)  SSIM 0.8123"


def test_every_clean_up_is_done_and_the_error_goes_on():
    def fail(engine, batch):
        raise ValueError("broken")

    engine, done = Engine(fail), []
    on_failure(engine, lambda: done.append("bar"))
    on_failure(engine, lambda: done.append("signals"))
    with pytest.raises(ValueError, match="broken"):
        engine.run([1])
    assert done[:2] == ["bar", "signals"]


def test_an_image_without_a_region_has_an_empty_cell_and_is_not_counted(tmp_path, caplog):
    def evaluate(engine, batch):
        return engine.state.output

    engine = Engine(evaluate)
    engine.state.rank, engine.state.metric_details = (
        0,
        {
            "psnr": torch.tensor([[20.0], [30.0], [40.0]]),
            "psnr_charge": torch.tensor([[math.nan], [12.0], [14.0]]),
            "psnr_pore": torch.full((3, 1), math.nan),
        },
    )
    Scores(output_dir=str(tmp_path)).attach(engine)
    with caplog.at_level("INFO", "rockmonai"):
        engine.run([[{"name": name} for name in "abc"]])
    rows = (tmp_path / "scores.csv").read_text().splitlines()
    assert rows == ["name,psnr,psnr_charge,psnr_pore", "a,20.0,,", "b,30.0,12.0,", "c,40.0,14.0,"]
    metrics = json.loads((tmp_path / "scores.json").read_text())["metrics"]
    assert metrics["psnr_charge"] == {"mean": 13.0, "std": pytest.approx(2**0.5), "sem": 1.0, "images": 2}
    assert metrics["psnr_pore"] == {"mean": None, "std": None, "sem": None, "images": 0}
    assert "PSNR_CHARGE 13 ± 1" in caplog.text
    assert "psnr_charge is that of the 2 of 3 images that have its region" in caplog.text


def test_every_group_has_its_mean_its_line_and_its_column(tmp_path, caplog):
    engine = Engine(lambda engine, batch: engine.state.output)
    engine.state.rank = 0
    engine.state.metric_details = {
        "psnr": torch.tensor([[20.0], [40.0], [math.nan], [26.0]]),
        "psnr_bicubic": torch.tensor([[19.0], [38.0], [21.0], [23.0]]),
    }
    Scores(output_dir=str(tmp_path), title="test", groups="prefix").attach(engine)
    with caplog.at_level("INFO", "rockmonai"):
        engine.run([[{"name": name} for name in ("sand_1", "coal_1", "sand_2", "sand_10")]])
    assert (tmp_path / "scores.csv").read_text().splitlines() == [
        "name,group,psnr,psnr_bicubic",
        "coal_1,coal,40.0,38.0",
        "sand_1,sand,20.0,19.0",
        "sand_2,sand,,21.0",
        "sand_10,sand,26.0,23.0",
    ]
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["baseline"] == "bicubic"
    assert report["groups"]["coal"]["psnr"] == {"mean": 40.0, "std": None, "sem": None, "images": 1}
    assert report["groups"]["sand"] == {
        "psnr": {"mean": 23.0, "std": pytest.approx(18**0.5), "sem": pytest.approx(3.0), "images": 2},
        "psnr_bicubic": {"mean": 21.0, "std": 2.0, "sem": pytest.approx(2 / 3**0.5), "images": 3},
    }
    assert "test, sand: PSNR 23 ± 3 (bicubic 21 ± 1.2)" in caplog.text


def test_what_handlers_leave_of_an_iteration_is_averaged_over_the_epoch(tmp_path):
    def learn(engine, batch):
        engine.state.losses = {"pixel": float(batch)}
        if batch > 1:
            engine.state.figures = {"real_accuracy": batch / 10}

    engine = Engine(learn)
    engine.state.rank = 0
    engine.optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    History(str(tmp_path), tensorboard=False).attach(engine)
    engine.run([1, 2, 3], max_epochs=1)
    assert (tmp_path / "metrics.csv").read_text() == "epoch,iteration,lr,pixel_loss,real_accuracy\n1,3,0.5,2.0,0.25\n"
