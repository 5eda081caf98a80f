from __future__ import annotations

import math

import pytest
from ignite.engine import Engine

from rockmonai.handlers.history import as_csv
from rockmonai.handlers.on_failure import on_failure
from rockmonai.handlers.scores import side_by_side


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
