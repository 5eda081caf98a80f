"""What the bundle srgan gains over bicubic interpolation on real scans, with the pixel loss and with both losses.

Usage: python benchmarks/real_rocks.py [versa] [cement] [bentheimer]
The images are looked for in ROCKMONAI_TEST_DATA (default ../shared/data); nothing is written there.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from rockmonai.volumes import create_volume, open_volume

PROJECT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("ROCKMONAI_TEST_DATA", PROJECT.parent / "shared" / "data"))
RUNS = PROJECT / "runs" / "real_rocks"


def bundle(config: str, **override: object) -> float:
    """Run a config of srgan with the literal command and return the CPU minutes it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    flags = [part for key, value in override.items() for part in (f"--{key.replace('__', '#')}", str(value))]
    path = str(PROJECT / "bundles" / "srgan" / "configs" / f"{config}.json")
    subprocess.run([sys.executable, "-m", "monai.bundle", "run", "--config_file", path, *flags], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60


def listed(name: str, **splits: list[dict]) -> str:
    """Write a data set list and return its path."""
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RUNS / f"{name}.json"
    path.write_text(json.dumps(splits, indent=2))
    return str(path)


def score(name: str, run: Path, **override: object) -> None:
    """Evaluate both models of a run and print them beside bicubic."""
    for model in ("model_warmup.pt", "model.pt"):
        output = RUNS / f"{name}_{model.removesuffix('.pt')}"
        bundle("evaluate", ckpt_path=run / model, output_dir=output, overwrite="true", **override)
        metrics = json.loads((output / "scores.json").read_text())["metrics"]
        psnr, cubic, ssim = (metrics[key]["mean"] for key in ("psnr", "psnr_bicubic", "ssim"))
        gain = f"{psnr:.2f} dB, bicubic {cubic:.2f} dB, gain {psnr - cubic:+.2f} dB"
        print(
            f"| {name} | {model} | {gain} | SSIM {ssim:.3f}, bicubic {metrics['ssim_bicubic']['mean']:.3f} |",
            flush=True,
        )


def versa() -> None:
    """x4 in 2D on a Zeiss Versa sandstone: two slices to learn from, a third one to be judged by."""
    first, second, third = (
        str(DATA / f"sandstone_versa/images/Sandstone_Versa{n}.tif") for n in ("0000", "0200", "0400")
    )
    dataset = listed(
        "versa",
        train=[{"label": first}, {"label": second, "roi": [[0, 768], [0, 996]]}],
        validation=[{"label": second, "roi": [[768, 1024], [0, 996]]}],
        test=[{"label": third}],
    )
    options = {"epochs": 25, "warmup_epochs": 20, "epoch_length": 200, "lr": 0.001}
    minutes = bundle("train", dataset_dir=dataset, output_dir=RUNS / "versa", overwrite="true", **options)
    print(f"versa: {minutes:.1f} CPU minutes of training")
    score("versa", RUNS / "versa", dataset_dir=dataset)


def bentheimer() -> None:
    """x4 on a published pair of files, with the network trained on the Versa sandstone."""
    low, high = (str(DATA / f"bentheimer_pair/Project211_sandstone_slice_0801{kind}.png") for kind in ("lr", "hr"))
    score("bentheimer", RUNS / "versa", dataset_dir=listed("bentheimer", test=[{"image": low, "label": high}]))


def cement() -> None:
    """x2 in 3D on a cement: one half to learn from, the other to be judged by; then the whole volume, written twice."""
    scan = DATA / "cement_ct" / "cement_128x128x128.tif"
    learn, judge = [0, 64], [64, 128]
    parts = {"train": [learn, [0, 96]], "validation": [learn, [96, 128]], "test": [judge, [0, 128]]}
    dataset = listed(
        "cement", **{split: [{"label": str(scan), "roi": [z, y, [0, 128]]}] for split, (z, y) in parts.items()}
    )
    volume = {"spatial_dims": 3, "scale": 2}
    small = {"network_def__width": 16, "network_def__blocks": 4}
    options = {
        "patch_size": 32,
        "batch_size": 8,
        "epochs": 12,
        "warmup_epochs": 10,
        "epoch_length": 100,
        "val_patches": 16,
    }
    minutes = bundle(
        "train",
        dataset_dir=dataset,
        output_dir=RUNS / "cement",
        overwrite="true",
        lr=0.001,
        discriminator_def__channels=8,
        **volume,
        **small,
        **options,
    )
    print(f"cement: {minutes:.1f} CPU minutes of training")
    score("cement", RUNS / "cement", dataset_dir=dataset, roi_size=32, **volume, **small)
    scan = _with_spacing(scan)
    for suffix in (".ome.zarr", ".tif"):
        bundle(
            "inference",
            input_file=scan,
            output_file=RUNS / f"cement{suffix}",
            ckpt_path=RUNS / "cement" / "model_warmup.pt",
            output_dir=RUNS,
            overwrite="true",
            roi_size=48,
            **volume,
            **small,
        )


def _with_spacing(scan: Path) -> Path:
    """Return a copy of a scan that says how large its voxels are: 2 µm, an assumption for the original says nothing."""
    volume, copy = open_volume(scan), RUNS / "cement_2um.tif"
    with create_volume(copy, volume.shape, volume.dtype, (2.0, 2.0, 2.0), overwrite=True) as written:
        written[...] = volume.read()
    return copy


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"No real rock images in {DATA}; set ROCKMONAI_TEST_DATA.")
    for name in sys.argv[1:] or ["versa", "bentheimer", "cement"]:
        {"versa": versa, "bentheimer": bentheimer, "cement": cement}[name]()
