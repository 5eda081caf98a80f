from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from rockmonai.handlers import Previews
from rockmonai.handlers.previews import contact_sheet, preview_row


def test_a_row_shows_input_prediction_target_and_error_in_grey_levels():
    item = {
        "image": torch.full((1, 2, 2), -1.0),
        "pred": torch.full((1, 4, 4), 0.25),
        "label": torch.full((1, 4, 4), 0.0),
    }
    strip = preview_row(item)
    assert strip.shape == (4, 16) and strip.dtype == np.uint8
    # (x + 1) * 127.5, rounded; an error of 0.25 is shown as 4 * 0.25 - 1 = 0.
    assert [int(strip[0, column]) for column in (0, 4, 8, 12)] == [0, 159, 128, 128]


def test_without_a_label_a_row_shows_what_the_prediction_changes(tmp_path):
    previews = Previews(str(tmp_path))
    item = {"image": torch.full((1, 2, 20), -0.5), "pred": torch.full((1, 4, 40), -0.25), "label": None}
    previews._collect(SimpleNamespace(state=SimpleNamespace(batch=[{}], output=[item])))
    previews._save(SimpleNamespace(state=SimpleNamespace(epoch=1)))
    sheet = np.asarray(Image.open(tmp_path / "previews" / "epoch_001.png"))
    # (x + 1) * 127.5, rounded; a change of 0.25 is shown as 4 * 0.25 - 1 = 0.
    assert sheet.shape == (18, 120) and [int(sheet[-1, column]) for column in (0, 40, 80)] == [64, 96, 128]


def test_a_volume_shows_its_middle_slice():
    volume = torch.linspace(-1, 1, 5)[None, :, None, None].expand(1, 5, 3, 3)
    strip = preview_row({"image": volume, "pred": volume, "label": volume})
    assert (strip[:, :9] == 128).all() and (strip[:, 9:] == 0).all()


def test_sheet_has_a_caption_above_every_column():
    sheet = np.asarray(contact_sheet([np.full((20, 120), 200, np.uint8)] * 2, ["a", "b", "c"]))
    assert sheet.shape == (14 + 40, 120)
    assert all((sheet[:14, start : start + 40] < 128).any() for start in (0, 40, 80))


def test_class_maps_are_shown_in_their_colours(tmp_path):
    previews = Previews(str(tmp_path), colours=[[255, 255, 255], [255, 0, 0], [0, 0, 0]])
    item = {"image": torch.zeros(1, 1, 3), "pred": torch.tensor([[[0, 1, 2]]]), "label": torch.tensor([[[0, 1, 1]]])}
    previews._collect(SimpleNamespace(state=SimpleNamespace(batch=[{}], output=[item])))
    white, red, black, grey = [255] * 3, [255, 0, 0], [0] * 3, [128] * 3
    assert previews.shown[0][0].tolist() == [grey] * 3 + [white, red, black] + [white, red, red] + [white, white, black]
    assert item["pred"].tolist() == [[[0, 1, 2]]], "the metrics want the classes"
    previews._save(SimpleNamespace(state=SimpleNamespace(epoch=1)))
    assert Image.open(tmp_path / "previews" / "epoch_001.png").getpixel((4, 14)) == (255, 0, 0)


def test_another_key_of_the_record_can_be_shown_as_the_input(tmp_path):
    previews, white = Previews(str(tmp_path), shown="damaged"), {"damaged": torch.ones(1, 1, 2)}
    item = {"image": torch.zeros(3, 1, 2), "pred": torch.zeros(1, 1, 2), "label": torch.zeros(1, 1, 2)}
    previews._collect(SimpleNamespace(state=SimpleNamespace(batch=[white], output=[item])))
    assert previews.shown[0][0].tolist() == [255] * 2 + [128] * 4 + [0] * 2
