"""Peak memory of an inference from file to file as the volume grows, beside MONAI's windows on the same volumes."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from threading import Thread

import numpy as np
import torch
from monai.bundle import ConfigWorkflow
from monai.inferers import sliding_window_inference

from rockmonai.networks import SRResNet
from rockmonai.volumes import create_volume, open_volume

CONFIG = Path(__file__).parents[1] / "bundles" / "srgan" / "configs" / "inference.json"
# A small network, so that the largest volume takes a minute or two: memory is that of a block whatever the network.
NETWORK = {"spatial_dims": 3, "scale": 2, "width": 8, "blocks": 2, "norm": None, "final": None, "upsampling": "direct"}
KERNELS = {"head_kernel": 3, "tail_kernel": 3}
# The smallest of each has many blocks with a full halo on all sides: a heap needs some twenty to reach its size.
SHAPES = [(192, 192, 192), (384, 384, 384)]
COLUMN = [(288, 144, 144), (3456, 144, 144)]
# How the blocks of several threads come to lie in one heap differs from run to run by tens of MiB.
ROUNDS = 5


def anonymous() -> float:
    """Return the memory of this process in MiB, without the pages of mapped files, which the system may drop."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1024


def watch(seen: list[float]) -> None:
    """Note the memory of this process every few milliseconds."""
    while True:
        seen[0] = max(seen[0], anonymous())
        time.sleep(0.005)


def peak(method: str, scan: Path, folder: Path) -> float:
    """Run one inference in this process; return what it added to the memory of the process, in MiB."""
    torch.set_num_threads(2)
    before, seen = anonymous(), [0.0]
    Thread(target=watch, args=(seen,), daemon=True).start()
    if method == "rockmonai":
        override = {f"network_def#{key}": value for key, value in {**NETWORK, **KERNELS}.items()}
        override |= {"network_def#residual": False, "scale": 2, "spatial_dims": 3, "block_size": 48, "num_workers": 0}
        paths = {"input_file": str(scan), "output_file": str(folder / "out.ome.zarr"), "ckpt_dir": str(folder)}
        flow = ConfigWorkflow(
            str(CONFIG), workflow_type="infer", logging_file=False, overwrite=True, **paths, **override
        )
        flow.initialize()
        flow.run()
    else:
        network = SRResNet(**NETWORK, **KERNELS).eval()
        image = torch.from_numpy(open_volume(scan).read()[None].astype(np.float32))
        with torch.inference_mode():
            sliding_window_inference(image, (48,) * 3, 1, network, 0.25, mode="gaussian")
    return max(seen) - before


def main() -> None:
    """Print the median peak for each size, the sizes in turn, and the ratio of the largest to the smallest."""
    if len(sys.argv) == 4:
        logging.disable()
        print(json.dumps(peak(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.save(SRResNet(**NETWORK, **KERNELS).state_dict(), folder / "model.pt")
        for method, shapes in (("rockmonai", COLUMN), ("rockmonai", SHAPES), ("MONAI", SHAPES[:1])):
            scans = [write(folder / f"scan_{number}.tif", shape) for number, shape in enumerate(shapes)]
            found: list[list[float]] = [[] for _ in shapes]
            for _ in range(ROUNDS if method == "rockmonai" else 1):
                for peaks, scan in zip(found, scans, strict=True):
                    command = [sys.executable, __file__, method, str(scan), name]
                    answer = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
                    peaks.append(json.loads(answer.splitlines()[-1]))
            for shape, peaks in zip(shapes, found, strict=True):
                size = " x ".join(map(str, shape))
                print(
                    f"{method:10s} {size:16s} {median(peaks):7.0f} MiB ({min(peaks):.0f} to {max(peaks):.0f})",
                    flush=True,
                )
            print(f"{method:10s} largest / smallest {median(found[-1]) / median(found[0]):.2f}", flush=True)


def write(scan: Path, shape: tuple[int, ...]) -> Path:
    """Write a volume of noise, slice by slice."""
    rng = np.random.default_rng(0)
    with create_volume(scan, (1, *shape), "uint16", overwrite=True) as volume:
        for z in range(shape[0]):
            volume[:, z] = rng.integers(0, 65535, (1, *shape[1:]), dtype=np.uint16)
    return scan


if __name__ == "__main__":
    main()
