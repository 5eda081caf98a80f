"""From folders of evaluations to figures and tables."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from rockmonai.__main__ import main
from rockmonai.errors import DataError, OutputError, UsageError
from rockmonai.report import write_figures
from tests.report.evaluations import write_evaluation, write_training


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two evaluations of the same images, in a folder where the process works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    for seed, model in enumerate(("edsrgan", "srgan")):
        write_evaluation(tmp_path / model / "scores", seed)
    return tmp_path


def test_one_command_draws_all_figures_and_prints_the_table(runs, capsys):
    write_training(runs / "edsrgan")
    main(["report", "figures", "edsrgan/scores", "srgan/scores"])
    names = ["box_plots.png", "differences.png", "discriminator.png", "spectra.png"]
    assert sorted(path.name for path in (runs / "figures").iterdir()) == names
    for name in names:
        picture = np.asarray(Image.open(runs / "figures" / name).convert("L"))
        assert min(picture.shape) > 500 and picture.std() > 5
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "PSNR (dB)" and "coal (5)" in lines[0] and "all (15)" in lines[0]
    assert [line.split()[0] for line in lines[1:4]] == ["bicubic", "edsrgan", "srgan"]


def test_the_table_has_means_and_standard_errors_of_each_group(runs):
    made = write_evaluation(runs / "third", 7)
    lines = write_figures(runs / "out", [runs / "third"]).splitlines()
    for row, column in ((1, "psnr_bicubic"), (2, "psnr"), (6, "ssim")):
        coal = np.array(made[column])[5:10]
        assert f"{coal.mean():.4g} ± {stats.sem(coal):.2g}" in lines[row]
        assert f"{np.mean(made[column]):.4g} ± {stats.sem(made[column]):.2g}" in lines[row]
    assert lines[2].startswith("prediction ")


def test_without_groups_examples_and_training_there_are_box_plots(runs):
    write_evaluation(runs / "plain", groups=False)
    for path in (runs / "plain" / "examples").rglob("*.tif"):
        path.unlink()
    assert "all images (15)" in write_figures(runs / "out", [runs / "plain"])
    assert [path.name for path in (runs / "out").iterdir()] == ["box_plots.png"]


def test_figures_are_replaced_only_when_asked_and_none_of_before_stays(runs):
    words = ["report", "figures", "edsrgan/scores"]
    write_training(runs / "edsrgan")
    main(words)
    with pytest.raises(OutputError, match=r"box_plots\.png exists.*--overwrite true"):
        main(words)
    (runs / "edsrgan" / "metrics.csv").unlink()
    main([*words, "--overwrite"])
    assert not (runs / "figures" / "discriminator.png").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"count": 4}, r"judge different images \(15 and 12, not in both: carbonate_0004\)"),
        ({"psnr_bicubic": [25.0] * 15}, r"had different inputs \(psnr_bicubic of carbonate_0000 is .* and 25\)"),
        ({"psnr": ["?"] * 15}, "are damaged"),
    ],
)
def test_what_cannot_be_compared_is_told_and_nothing_is_drawn(runs, change, sentence):
    write_evaluation(runs / "strange", **change)
    with pytest.raises(DataError, match=sentence):
        write_figures(runs / "out", [runs / "srgan" / "scores", runs / "strange"])
    assert not (runs / "out").exists()


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        (["nowhere"], DataError, r"nowhere has no scores\.csv: run evaluate\.json"),
        (["srgan/scores", "--metrics", "psnr,iou"], DataError, "has no 'iou', only psnr, psnr_bicubic"),
        (["srgan/scores", "--labels", "a,b"], UsageError, "1 evaluations need as many different --labels"),
        (["srgan/scores", "srgan/scores"], UsageError, "cannot be told apart"),
        ([], UsageError, "required argument: scores"),
        (["srgan/scores", "--label", "a"], UsageError, "see rockmonai report --help"),
    ],
)
def test_a_mistake_is_told(runs, words, error, sentence):
    with pytest.raises(error, match=sentence):
        main(["report", "figures", *words])
    assert not (runs / "figures").exists()
