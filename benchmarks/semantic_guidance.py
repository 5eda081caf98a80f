"""Does a map of the classes help super-resolution to restore rough pore walls, and what of it must come from outside?

Usage: python benchmarks/semantic_guidance.py [rock] [versa]
The networks of srgan and semsr learn from the same pairs, in about the same CPU time: from decimated images, and from
images degraded as scans are, with a map of the high-resolution image, thinned out as semsr does or with all its detail,
with a map made of the low-resolution image by thresholds, and with none. All are judged on images degraded as scans
are, the first one on decimated ones as well. The rocks are the sample rock, and three slices of a sandstone, of which
the last is the test; it is looked for in ROCKMONAI_TEST_DATA (default ../shared/data). Trainings run two at a time, a
thread each, once.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from statistics import mean, stdev
from typing import Any

import numpy as np
import tifffile
from bundle_runs import DATA, PROJECT, bundle, scores, trained

RUNS = PROJECT / "runs" / "semantic_guidance"
SEEDS = (0, 1, 2)
COLUMNS = ("psnr", "ssim", "boundary_f_1", "boundary_f_2", "roughness_error", "surface_error", "porosity_error")
# Blue pores, red quartz, green clay, yellow heavy minerals, in the order of the bundle's classes.
COLOURS = np.array([[0, 0, 255], [255, 0, 0], [0, 255, 0], [255, 255, 0]])
SRRESNET = json.loads((PROJECT / "bundles" / "srgan" / "configs" / "train.json").read_text())["network_def"]
UNGUIDED = {"network_def": SRRESNET, "guide": {"_target_": "Identityd", "keys": "image"}}
ITSELF = {"network_def#semantic_channels": 1, "guide": {"_target_": "RepeatChanneld", "keys": "image", "repeats": 2}}
# An iteration of semsr's network takes about twice as long as one of srgan's.
LONG, SHORT = {"epoch_length": 120}, {"epoch_length": 60}
ARMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what is told to both, what to the training alone
    "srgan, decimated": (UNGUIDED, LONG | {"degradation": "nearest"}),
    "srgan, as scanned": (UNGUIDED, LONG),
    "semsr, guided by the scan itself": (ITSELF, SHORT),
    "semsr, map of the scan": ({"overlays": ["self_guided"]}, SHORT | {"overlays": ["otsu"]}),
    "semsr, map of the label": ({}, SHORT),
    "semsr, all detail of that map": ({"network_def#semantic_channels": 64, "guide#detail": True}, SHORT),
}
CONTROLS = ("semsr, guided by the scan itself", "semsr, map of the scan", "semsr, all detail of that map")


def versa() -> dict[str, Any]:
    """Write the sandstone's masks as numbers of classes and a list of its splits; return what a bundle must be told."""
    source, folder = DATA / "sandstone_versa", RUNS / "versa"
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for image in sorted((source / "images").glob("*.tif")):
        mask = tifffile.imread(source / "masks" / image.name)
        classes = (mask[..., None, :] == COLOURS).all(-1).argmax(-1)
        tifffile.imwrite(folder / image.name, classes.astype(np.uint8))
        records.append({"label": str(image.resolve()), "semantic": image.name})
    first, second, third = records
    splits = {
        "train": [first, second | {"roi": [[0, 768], [0, 996]]}],
        "validation": [second | {"roi": [[768, 1024], [0, 996]]}],
        "test": [third],
    }
    (folder / "splits.json").write_text(json.dumps(splits))
    return {"dataset_dir": folder / "splits.json"}


def judged(rock: str, data: dict[str, Any], arm: str, seed: int) -> dict[str, dict[str, float]]:
    """Return the scores of one training by the degradation that it is judged on."""
    both, training = ARMS[arm]
    run = RUNS / rock / arm.replace(" ", "_").replace(",", "") / f"seed{seed}"
    overlays = both.get("overlays", [])
    options = data | {key: value for key, value in both.items() if key != "overlays"}
    learning = {key: value for key, value in training.items() if key != "overlays"} | {"amp": "bf16", "seed": seed}
    minutes = trained("semsr", run, [*overlays, *training.get("overlays", [])], **options, **learning)
    found = {}
    for degradation in {"semsr", training.get("degradation", "semsr")}:
        output = run / degradation
        asked = {"ckpt_dir": run, "output_dir": output, "overwrite": "true", "degradation": degradation}
        bundle("semsr", ["evaluate", *overlays], run, **options, **asked)
        found[degradation] = {**scores(output), "minutes": minutes}
    return found


def row(title: str, found: list[dict[str, float]], suffix: str = "") -> str:
    """Return a line of the table: means, their standard deviation for several seeds, blanks for what is not there."""
    cells = []
    for key in COLUMNS:
        values = [one[key + suffix] for one in found if key + suffix in one]
        if not values:
            cells.append("")
            continue
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 and not suffix else ""
        cells.append(f"{mean(values):.2f}{spread}" if key == "psnr" else f"{mean(values):.3f}{spread}")
    minutes = "" if suffix else f"{mean(one['minutes'] for one in found):.1f}"
    return f"| {title} | {' | '.join(cells)} | {minutes} |"


def main(rocks: list[str]) -> None:
    """Train and judge everything, then print a table for each rock."""
    data = {"rock": dict[str, Any](), "versa": versa()}
    jobs = [
        (rock, arm, seed) for seed in SEEDS for rock in rocks for arm in ARMS if arm not in CONTROLS or seed == SEEDS[0]
    ]
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda job: judged(job[0], data[job[0]], *job[1:]), jobs)
        found = dict(zip(jobs, done, strict=True))
    for rock in rocks:
        print(f"| {rock} | {' | '.join(COLUMNS)} | CPU minutes |\n{'|---' * (len(COLUMNS) + 2)}|")
        for degradation in ("nearest", "semsr"):
            of = {
                arm: [found[job][degradation] for job in jobs if job[:2] == (rock, arm) and degradation in found[job]]
                for arm in ARMS
            }
            first = next(values for values in of.values() if values)
            print(row(f"bicubic, of {degradation}", first[:1], "_bicubic"))
            for arm, values in of.items():
                if values:
                    print(row(f"{arm}, of {degradation}", values))


if __name__ == "__main__":
    main(sys.argv[1:] or ["rock", "versa"])
