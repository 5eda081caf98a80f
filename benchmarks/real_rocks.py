"""What the super-resolution bundles gain over bicubic interpolation on real scans, and for how much compute.

Usage: python benchmarks/real_rocks.py [recipe ...]
Without names all recipes below are trained, those that were already with the same configs excepted, and judged with the
pixel loss alone (model_warmup.pt) and at the end (model.pt). The images are looked for in ROCKMONAI_TEST_DATA (default
../shared/data); nothing is written there.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile
import torch
from bundle_runs import DATA, PROJECT, bundle, scores, trained
from monai.bundle import ConfigParser
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

RUNS = PROJECT / "runs" / "real_rocks"


@dataclass(frozen=True)
class Recipe:
    """How a bundle is trained on one scan, and which scans it is judged on."""

    bundle: str
    scan: str
    options: dict[str, Any]
    training: dict[str, Any]
    overlays: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()

    @property
    def one_phase(self) -> bool:
        """Whether the discriminator never comes."""
        return "epochs" in self.training and self.training["epochs"] == self.training.get("warmup_epochs")


def pixel(epoch_length: int, **training: Any) -> dict[str, Any]:
    """Return the options of a training with the pixel loss alone, the mean squared error that PSNR counts."""
    squared = {"pixel_loss#_target_": "torch.nn.MSELoss", "batch_size": 8, "lr": 0.002}
    return {"epochs": 8, "warmup_epochs": 8, "epoch_length": epoch_length, **squared, **training}


def net(width: int, blocks: int) -> dict[str, Any]:
    """Return the size of an EDSR or SRResNet."""
    return {"network_def#width": width, "network_def#blocks": blocks}


SMALL_VOLUMES = {"spatial_dims": 3, "scale": 2, **net(16, 4), "roi_size": 32}
RECIPES = {
    "srgan, versa x4": Recipe(
        "srgan",
        "versa",
        {},
        {"epochs": 25, "warmup_epochs": 20, "epoch_length": 200, "lr": 0.001},
        judged=("versa", "bentheimer"),
    ),
    "srgan, cement x2 3D": Recipe(
        "srgan",
        "cement",
        SMALL_VOLUMES,
        {"patch_size": 32, "batch_size": 8, "epochs": 12, "warmup_epochs": 10, "epoch_length": 100, "val_patches": 16}
        | {"lr": 0.001, "discriminator_def#channels": 8},
    ),
    "edsrgan, versa x4": Recipe("edsrgan", "versa", {}, pixel(175), judged=("versa", "bentheimer")),
    "edsrgan, versa x4, two phases": Recipe("edsrgan", "versa", {}, {"epochs": 16, "epoch_length": 115, "lr": 0.002}),
    "edsrgan 64x16, versa x4": Recipe(
        "edsrgan", "versa", net(64, 16), pixel(175, lr=0.0005), judged=("versa", "bentheimer")
    ),
    "edsrgan 64x16 for longer, versa x4": Recipe(
        "edsrgan", "versa", net(64, 16), pixel(450, lr=0.0005), judged=("versa", "bentheimer")
    ),
    "edsrgan, versa x2": Recipe("edsrgan", "versa", {"scale": 2}, pixel(175, patch_size=48)),
    "edsrgan, shale x4": Recipe("edsrgan", "shale", {}, pixel(175)),
    "edsrgan, shale x2": Recipe("edsrgan", "shale", {"scale": 2}, pixel(175, patch_size=48)),
    "edsrgan, cement x2 3D": Recipe("edsrgan", "cement", {}, pixel(60, lr=0.001), ("volume",)),
    "edsrgan for longer, cement x2 3D": Recipe("edsrgan", "cement", {}, pixel(240, lr=0.001), ("volume",)),
    "edsrgan 32x8, cement x2 3D": Recipe("edsrgan", "cement", net(32, 8), pixel(60, lr=0.001), ("volume",)),
    "edsrgan, cement x2 slices": Recipe("edsrgan", "cement", {"scale": 2}, pixel(175, patch_size=32, batch_size=16)),
}


def versa() -> dict[str, list[dict]]:
    """A Zeiss Versa sandstone: two slices to learn from, a third one to be judged by."""
    first, second, third = (
        str(DATA / f"sandstone_versa/images/Sandstone_Versa{n}.tif") for n in ("0000", "0200", "0400")
    )
    return {
        "train": [{"label": first}, {"label": second, "roi": [[0, 768], [0, 996]]}],
        "validation": [{"label": second, "roi": [[768, 1024], [0, 996]]}],
        "test": [{"label": third}],
    }


def bentheimer() -> dict[str, list[dict]]:
    """A published pair of files, to be judged by."""
    low, high = (str(DATA / f"bentheimer_pair/Project211_sandstone_slice_0801{kind}.png") for kind in ("lr", "hr"))
    return {"test": [{"image": low, "label": high}]}


def cement() -> dict[str, list[dict]]:
    """A cement: one half to learn from, the other to be judged by."""
    scan = str(DATA / "cement_ct" / "cement_128x128x128.tif")
    learn, judge = [0, 64], [64, 128]
    parts = {"train": [learn, [0, 96]], "validation": [learn, [96, 128]], "test": [judge, [0, 128]]}
    return {split: [{"label": scan, "roi": [z, y, [0, 128]]}] for split, (z, y) in parts.items()}


def shale() -> dict[str, list[dict]]:
    """Electron micrographs of a shale without info bars: three to learn from, one to watch, one to be judged by."""
    records: dict[str, list[dict]] = {"train": [], "validation": [], "test": []}
    for split in ("train", "test"):
        for path in sorted((DATA / "shale_sem" / split / "images").glob("*.tif")):
            grey, height = RUNS / f"shale_{split}_{path.name}", tifffile.imread(path).shape[0] - 80
            Image.open(path).convert("L").crop((0, 0, 1024, height)).save(grey)
            records[split].append({"label": str(grey)})
    records["validation"].append(records["train"].pop())
    return records


SCANS = {"versa": versa, "bentheimer": bentheimer, "cement": cement, "shale": shale}


def listed(scan: str) -> Path:
    """Write the list of a scan's splits and return its path."""
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RUNS / f"{scan}.json"
    path.write_text(json.dumps(SCANS[scan](), indent=2))
    return path


def cost(recipe: Recipe) -> str:
    """Return a network's parameters, and its multiplications for 128² or 32³ coarse voxels."""
    configs = PROJECT / "bundles" / recipe.bundle / "configs"
    parser = ConfigParser(
        ConfigParser.load_config_files([str(configs / f"{name}.json") for name in ("train", *recipe.overlays)])
    )
    parser.update(recipe.options)
    network, dims = parser.get_parsed_content("network_def"), parser["spatial_dims"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, *((128,) * 2 if dims == 2 else (32,) * 3)))
    weights = sum(weight.numel() for weight in network.parameters())
    return f"{weights / 1e3:.0f} k | {counter.get_total_flops() / 2e9:.2f} |"


def learnt(name: str) -> tuple[Path, float]:
    """Train what a recipe says, unless that was done, and return the folder and the CPU minutes it took."""
    recipe, run = RECIPES[name], RUNS / name.replace(" ", "_").replace(",", "")
    options = recipe.options | recipe.training
    return run, trained(recipe.bundle, run, recipe.overlays, dataset_dir=listed(recipe.scan), **options)


def main(names: list[str]) -> None:
    """Train what is missing, and print a row for every model and every scan that it is judged on."""
    print("| recipe | scan | loss | PSNR | bicubic | gain | SSIM | bicubic | weights | GMAC | CPU minutes |")
    print("|---" * 11 + "|")
    for name in names or RECIPES:
        recipe = RECIPES[name]
        run, minutes = learnt(name)
        models = {"pixel": "model"} if recipe.one_phase else {"pixel": "model_warmup", "pixel, adversarial": "model"}
        for loss, model in models.items():
            for scan in recipe.judged or (recipe.scan,):
                output = run / f"{scan}_{model}"
                asked = {"ckpt_path": run / f"{model}.pt", "output_dir": output, "overwrite": "true"}
                told = recipe.options | {"dataset_dir": listed(scan)} | asked
                bundle(recipe.bundle, ["evaluate", *recipe.overlays], run, **told)
                of = scores(output)
                gain = of["psnr"] - of["psnr_bicubic"]
                print(
                    f"| {name} | {scan} | {loss} | {of['psnr']:.2f} | {of['psnr_bicubic']:.2f} | {gain:+.2f} "
                    f"| {of['ssim']:.3f} | {of['ssim_bicubic']:.3f} | {cost(recipe)} {minutes:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"No real rock images in {DATA}; set ROCKMONAI_TEST_DATA.")
    main(sys.argv[1:])
