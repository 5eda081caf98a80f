"""Does what was learnt from one laboratory's shale hold for another's, and how much do fifteen labelled tiles add?

Usage: python benchmarks/shale_elsewhere.py [folder of the other data set [model.pt of shale_unet]]
The other data set, 20 tiles of one micrograph in images and masks (255 = mineral), is looked for in ROCKMONAI_TEST_DATA
(default ../shared/data), the model where benchmarks/shale_segmentation.py leaves its first. Organic matter, pores and
clay together are taken for what is no mineral. Scores are the intersection over union of
mineral and of the rest, the mean of 20 tiles, each predicted by a network that has not learnt from it: never from any,
or from the 15 tiles that are not in its quarter of the micrograph.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean

import numpy as np
import tifffile
from bundle_runs import DATA, bundle, scores
from shale_segmentation import RUNS, SEEDS, TEST

from rockmonai.volumes import list_scans

FOLDS = 4
DUVERNAY = DATA / "duvernay_sem"
WEIGHTS = RUNS / "shale_unet" / f"fold{TEST}_seed{SEEDS[0]}" / "model.pt"
# Pixels of unknown size are taken as they are; three classes count as one; windows may be all mineral.
FOLDERS = {"pixel_size": "null", "folders": "{'image': 'images', 'label': 'labels'}"}
MERGED = (
    "[{'_target_': 'AsDiscreted', 'keys': 'pred', 'argmax': True}, "
    "{'_target_': 'MapLabelValued', 'keys': 'pred', 'orig_labels': [2, 3], 'target_labels': [1, 1]}]"
)
SHORT = {"mixed#fraction": 0.0, "epochs": 4, "epoch_length": 50, "lr": 0.0005, "val_interval": 4}


def data_set(duvernay: Path) -> tuple[Path, list[dict[str, str]]]:
    """Write the masks as numbers of classes, 0 mineral and 1 the rest; return the folder and its records."""
    folder, records = RUNS / "elsewhere", []
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for image in list_scans(duvernay / "images"):
        mask = tifffile.imread(duvernay / "masks" / image.name)
        tifffile.imwrite(folder / "labels" / image.name, (mask == 0).astype(np.uint8))
        records.append({"image": str(image.resolve()), "label": f"labels/{image.name}"})
    return folder, records


def judged(split: Path, weights: Path, run: Path) -> list[list[float]]:
    """Return the intersections over union of mineral and of the rest for each test tile of a list."""
    folders = {"dataset_dir": split, "ckpt_path": weights, "output_dir": run, "overwrite": "true"}
    merged = {"postprocessing#transforms": MERGED, "handlers#1#classes": ["mineral", "rest"]}
    bundle("shale_unet", ["evaluate"], run, **folders, **FOLDERS, **merged)
    found = scores(run)
    return [found[key] for key in ("iou_mineral", "iou_organic")]


def main(duvernay: Path = DUVERNAY, weights: Path = WEIGHTS) -> None:
    """Score without any tile, with those of the other folds on top of the weights, and with these alone."""
    folder, records = data_set(duvernay)
    everything = folder / "all.json"
    everything.write_text(json.dumps({"train": records, "validation": records, "test": records}))
    rows = {"never seen": [judged(everything, weights, folder / "never_seen")]}
    part = len(records) // FOLDS
    for title, start in (("15 tiles, on top of it", weights), ("15 tiles alone", "null")):
        rows[title] = []
        for fold in range(FOLDS):
            left_out = records[fold * part : (fold + 1) * part]
            run = folder / f"{title.replace(' ', '_').replace(',', '')}_{fold}"
            split = folder / f"fold{fold}.json"
            kept = [record for record in records if record not in left_out]
            split.write_text(json.dumps({"train": kept, "validation": left_out, "test": left_out}))
            folders = {"dataset_dir": split, "output_dir": run, "overwrite": "true"}
            bundle("shale_unet", ["train"], run, **folders, start_from=start, **FOLDERS, **SHORT)
            rows[title].append(judged(split, run / "model.pt", run / "scores"))
    print("| shale_unet | mean IoU | mineral | the rest |\n|---|---|---|---|")
    for title, found in rows.items():
        mineral, rest = (mean(column) for column in zip(*found, strict=True))
        print(f"| {title} | {(mineral + rest) / 2:.3f} | {mineral:.3f} | {rest:.3f} |")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
