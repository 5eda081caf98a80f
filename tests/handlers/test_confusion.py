from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
import torch.distributed as dist
from ignite.engine import Engine
from skimage.metrics import contingency_table

from rockmonai.errors import DataError
from rockmonai.handlers import Confusion

NAMES = ["mineral", "organic matter", "pore", "clay"]


def images(count=3, classes=4):
    """Labels and predictions of unequal sizes, the prediction right in about half of the voxels."""
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        label = rng.integers(0, classes, (1, 20, 15 + number))
        guess = rng.integers(0, classes, label.shape)
        made.append({"pred": torch.from_numpy(np.where(rng.random(label.shape) < 0.5, label, guess)), "label": label})
    return [{**image, "label": torch.from_numpy(image["label"])} for image in made]


def evaluate(folder, made, records=None, times=1, **options):
    """Run an engine over batches of one."""
    engine = Engine(lambda engine, batch: [batch[0]["made"]])
    engine.state.rank, engine.state.device = 0, torch.device("cpu")
    Confusion(str(folder), NAMES, **options).attach(engine)
    records = records or [{} for _ in made]
    for _ in range(times):
        engine.run([[{**record, "made": output}] for record, output in zip(records, made, strict=True)])


def flat(made, key):
    return np.concatenate([image[key].numpy().ravel() for image in made])


def table(label, pred):
    return contingency_table(label, pred).toarray().astype(int).tolist()


def jaccard(label, pred, classes):
    masks = [(label == number, pred == number) for number in range(classes)]
    return [(one & other).sum() / (one | other).sum() for one, other in masks]


def test_counts_are_those_of_all_images_together(tmp_path, caplog):
    made = images()
    with caplog.at_level("INFO", "rockmonai"):
        evaluate(tmp_path / "out", made, times=2)  # a second evaluation starts from nothing
    label, pred = flat(made, "label"), flat(made, "pred")
    header, *rows = csv.reader((tmp_path / "out" / "confusion.csv").open())
    assert header == ["label", *NAMES] and [row[0] for row in rows] == NAMES
    assert [[int(cell) for cell in row[1:]] for row in rows] == table(label, pred)
    found = [(pred[label == number] == number).mean() for number in range(4)]
    pooled = jaccard(label, pred, 4)

    def named(values):
        return ", ".join(f"{name} {value:.4g}" for name, value in zip(NAMES, values, strict=True))

    line = f"found of each class: {named(found)}; iou_pooled {named(pooled)}, mean {np.mean(pooled):.4g}"
    assert caplog.messages == [line, line]


def test_a_class_that_is_nowhere_does_not_count(tmp_path, caplog):
    made = images(classes=3)
    with caplog.at_level("INFO", "rockmonai"):
        evaluate(tmp_path, made)
    pooled = np.mean(jaccard(flat(made, "label"), flat(made, "pred"), 3))
    assert "clay nan; iou_pooled" in caplog.text and f"clay nan, mean {pooled:.4g}" in caplog.text


def test_the_maps_may_be_of_the_records(tmp_path):
    (made,) = images(1)
    evaluate(tmp_path, [{"label": made["label"]}], [{"other": made["pred"]}], of="other")
    assert (tmp_path / "confusion.csv").exists()
    with pytest.raises(DataError, match="needs 'pred'"):
        evaluate(tmp_path, [{"label": made["label"]}])


def ranks(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    engine = Engine(lambda engine, batch: [batch[0]])
    engine.state.rank, engine.state.device = rank, torch.device("cpu")
    Confusion(str(folder), NAMES).attach(engine)
    engine.run([[{**image}] for image in images()[rank::2]])
    dist.destroy_process_group()


def test_ranks_count_together(tmp_path):
    torch.multiprocessing.spawn(ranks, (tmp_path,), 2)
    made = images()
    rows = [[int(cell) for cell in row[1:]] for row in list(csv.reader((tmp_path / "confusion.csv").open()))[1:]]
    assert rows == table(flat(made, "label"), flat(made, "pred"))
