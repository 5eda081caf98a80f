"""How well are the classes of a real shale told apart: by seed, by image left out, beside MONAI's networks, elsewhere?

Usage: python benchmarks/shale_segmentation.py [folder of the data set]
The data set, five electron micrographs with an info bar of 80 rows, is looked for in ROCKMONAI_TEST_DATA (default
../shared/data). A training leaves one image out and is scored on that one, as it is and as the mean over the eight
symmetries. What is trained already in runs/shale_segmentation is scored again, not trained again. Two trainings run at
a time, a thread each.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev

from bundle_runs import DATA, PROJECT, bundle, scores, trained

SHALE = DATA / "shale_sem"
RUNS = PROJECT / "runs" / "shale_segmentation"
TEST, OTHERS = 4, (0, 1, 2, 3)
SEEDS = (0, 1, 2)
COLUMNS = ("mean_iou", "iou_mineral", "iou_organic", "iou_pore", "iou_clay", "accuracy", "boundary_f")
AREAS = ("area_organic", "area_pore", "area_clay")
NETWORKS = {
    "shale_unet": ("shale_unet", {}),
    "shale_ensemble": ("shale_ensemble", {}),
    "MONAI BasicUNet": ("shale_unet", {"_target_": "BasicUNet", "features": [16, 32, 64, 128, 128, 16]}),
    "MONAI SegResNet": ("shale_unet", {"_target_": "SegResNet", "init_filters": 16, "dropout_prob": 0.2}),
}


def scored(shale: Path, network: str, fold: int, seed: int) -> dict[str, dict[str, float]]:
    """Return the scores of a network on the image that its training left out: ``once`` and ``eightfold``."""
    name, definition = NETWORKS[network]
    run = RUNS / network.replace(" ", "_") / f"fold{fold}_seed{seed}"
    data = {"dataset_dir": shale, "info_bar": 80, "fold": fold}
    if definition:
        data["network_def"] = {"spatial_dims": 2, "in_channels": 1, "out_channels": 4, **definition}
    minutes = trained(name, run, seed=seed, **data)
    found = {}
    for way in ("once", "eightfold"):
        configs = ["evaluate"] if way == "once" else ["evaluate", way]
        bundle(name, configs, run, ckpt_dir=run, output_dir=run / way, overwrite="true", **data)
        found[way] = {**scores(run / way), "minutes": minutes}
    return found


def seeds_of(network: str) -> tuple[int, ...]:
    """Return the seeds of a network's trainings: three of ours, one of MONAI's."""
    return SEEDS[:1] if network.startswith("MONAI") else SEEDS


def row(title: str, found: list[dict[str, float]]) -> str:
    """Return a line of the table: means, and for several runs the standard deviation of the mean IoU over them."""
    cells = [f"{mean(one[key] for one in found):.3f}" for key in COLUMNS]
    if len(found) > 1:
        cells[0] += f" ± {stdev(one['mean_iou'] for one in found):.3f}"
    areas = " / ".join(f"{100 * mean(one[key] for one in found):+.1f}" for key in AREAS)
    return f"| {title} | {' | '.join(cells)} | {areas} | {mean(one['minutes'] for one in found):.1f} |"


def main(shale: Path) -> None:
    """Train and score everything, then print the table."""
    jobs = [(network, TEST, seed) for network in NETWORKS for seed in seeds_of(network)]
    jobs += [("shale_unet", fold, SEEDS[0]) for fold in OTHERS]
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(jobs, pool.map(lambda job: scored(shale, *job), jobs), strict=True))
    titles = [key.replace("_", " ") for key in COLUMNS]
    print(f"| | {' | '.join(titles)} | area error, % of the image: organic / pore / clay | CPU minutes |")
    print("|---" * (len(COLUMNS) + 3) + "|")
    for network in NETWORKS:
        for way in ("once", "eightfold"):
            print(row(f"{network}, {way}", [found[network, TEST, seed][way] for seed in seeds_of(network)]))
    for fold in (*OTHERS, TEST):
        print(row(f"shale_unet, image {fold} left out, eightfold", [found["shale_unet", fold, SEEDS[0]]["eightfold"]]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else SHALE)
