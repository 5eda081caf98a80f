"""The numbers behind the figures, read back from what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from rockmonai.errors import DataError
from rockmonai.petrophysics import power_spectrum
from rockmonai.report import box_plots, difference_panels, discriminator_course, spectra
from tests.report.evaluations import write_training

RNG = np.random.default_rng(0)
TABLES = {
    metric: {rock: {model: RNG.normal(size=9) for model in ("bicubic", "edsrgan")} for rock in ("coal", "sandstone")}
    for metric in ("psnr", "ssim")
}
LABEL = RNG.uniform(-1, 1, (40, 50))
IMAGES = {"target": LABEL, "bicubic": LABEL * 0.5, "edsrgan": LABEL + 0.25}


def test_the_line_in_a_box_is_the_median():
    figure = box_plots(TABLES)
    assert [axes.get_ylabel() for axes in figure.axes] == ["PSNR (dB)", "SSIM"]
    for axes, table in zip(figure.axes, TABLES.values(), strict=True):
        for model in ("bicubic", "edsrgan"):
            drawn = [line.get_ydata()[0] for line in axes.lines if line.get_gid() == model]
            assert drawn == pytest.approx([np.median(columns[model]) for columns in table.values()])


def test_an_image_that_equals_its_label_is_left_out_of_its_box():
    table = {"psnr": {"coal": {"edsrgan": np.array([20.0, 30.0, np.inf, 28.0, np.nan])}}}
    (line,) = (line for line in box_plots(table).axes[0].lines if line.get_gid() == "edsrgan")
    assert line.get_ydata()[0] == 28


def test_panels_show_the_middle_and_the_true_differences_on_one_scale():
    figure = difference_panels({"coal": IMAGES, "sandstone": {k: -v for k, v in IMAGES.items()}}, side=20)
    pictures = [axes.images[0] for axes in figure.axes if axes.images]
    shown = [picture.get_array() for picture in pictures]
    inner = LABEL[10:30, 15:35]
    expected = [inner, inner * 0.5, inner + 0.25, np.abs(inner) * 0.5, np.full((20, 20), 0.25)]
    for found, image in zip(shown[:5], expected, strict=True):
        assert np.allclose(found, image)
    assert np.allclose(shown[9], 0.25)
    top = np.quantile(np.abs([expected[3], expected[4]] * 2), 0.995)
    for picture in (pictures[number] for number in (3, 4, 8, 9)):
        assert picture.get_clim() == pytest.approx((0, top))
    assert [axes.get_title() for axes in figure.axes[:4]] == ["target", "bicubic", "edsrgan", "bicubic\n|difference|"]


def test_a_perfect_prediction_can_be_drawn(tmp_path):
    difference_panels({"coal": {"target": LABEL, "edsrgan": LABEL}}).savefig(tmp_path / "panels.png")
    assert (tmp_path / "panels.png").stat().st_size > 0


def test_spectra_are_those_of_the_images_up_to_the_finest_wave():
    (axes,) = spectra({"coal": IMAGES}).axes
    lines = {line.get_gid(): line for line in axes.lines}
    assert list(lines) == ["target", "bicubic", "edsrgan"]
    frequency, power = power_spectrum(LABEL)
    seen = (frequency > 0) & (frequency <= 0.5)
    assert np.allclose(lines["target"].get_xdata(), frequency[seen])
    assert np.allclose(lines["bicubic"].get_ydata(), power[seen] / 4)
    assert np.allclose(lines["edsrgan"].get_ydata(), power[seen])


def test_the_course_of_the_discriminator_begins_after_the_warm_up(tmp_path):
    write_training(tmp_path)
    (axes,) = discriminator_course({"edsrgan": tmp_path / "metrics.csv"}).axes
    lines = {line.get_gid(): line for line in axes.lines}
    assert list(lines["reals"].get_xdata()) == [30, 40, 50]
    assert list(lines["reals"].get_ydata()) == [0.5, 0.6, 0.9]
    assert list(lines["fakes"].get_ydata()) == [0.7, 0.8, 1.0]
    assert axes.patches[0].get_extents().transformed(axes.transData.inverted()).x1 == pytest.approx(20)


def test_a_training_without_a_discriminator_has_no_course(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,iteration,pixel_loss\n1,10,0.5\n")
    with pytest.raises(DataError, match="no accuracies of a discriminator"):
        discriminator_course({"srcnn": tmp_path / "metrics.csv"})
