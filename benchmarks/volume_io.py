"""What reading a TIFF and writing an OME-Zarr adds to an inference, beside the same blocks from array to array."""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigWorkflow
from monai.data import MetaTensor

from rockmonai.networks import SRResNet
from rockmonai.transforms import scale_grey, unscale_grey
from rockmonai.volumes import create_volume, open_volume

CONFIG = Path(__file__).parents[1] / "bundles" / "srgan" / "configs" / "inference.json"
NETWORK = {"width": 16, "blocks": 4, "upsampling": "stepwise", "residual": False}
SHAPE, ROUNDS = (144, 144, 144), 3


def workflow(folder: Path) -> ConfigWorkflow:
    """Return the bundle's inference of the scan in ``folder``, initialised."""
    override = {f"network_def#{key}": value for key, value in NETWORK.items()}
    override |= {"spatial_dims": 3, "scale": 2, "block_size": 48, "num_workers": 0, "overwrite": True}
    paths = {name: str(folder / file) for name, file in (("input_file", "scan.tif"), ("output_file", "out.ome.zarr"))}
    flow = ConfigWorkflow(
        str(CONFIG), workflow_type="infer", logging_file=False, ckpt_dir=str(folder), **paths, **override
    )
    flow.initialize()
    return flow


def main() -> None:
    """Print CPU and wall time of the streamed run relative to the one in memory."""
    logging.disable()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kernels = {"norm": None, "final": None, "head_kernel": 3, "tail_kernel": 3}
        torch.save(SRResNet(3, scale=2, **NETWORK, **kernels).state_dict(), folder / "model.pt")
        rng = np.random.default_rng(0)
        with create_volume(folder / "scan.tif", (1, *SHAPE), "uint16") as volume:
            volume[...] = rng.integers(20000, 45000, (1, *SHAPE), dtype=np.uint16)
        greys = open_volume(folder / "scan.tif").read()
        ratios: dict[str, list[float]] = {"CPU": [], "wall": []}
        for _ in range(ROUNDS):
            flow = workflow(folder)
            tiling, inferer, network = (flow.parser.get_parsed_content(key) for key in ("tiling", "inferer", "network"))
            result = np.empty((1, *tiling.output_shape), np.uint16)
            clocks = (time.process_time, time.perf_counter)
            start = [clock() for clock in clocks]
            with torch.inference_mode():
                for block in tiling.blocks:
                    image = scale_grey(torch.from_numpy(greys[(..., *block.read)]), 0, 65535)[None]
                    pred = inferer(MetaTensor(image, meta={"block": block.index}), network)
                    result[(..., *block.output(tiling.scale))] = unscale_grey(pred[0], 0, 65535, "uint16").numpy()
            memory = [clock() - began for clock, began in zip(clocks, start, strict=True)]
            start = [clock() for clock in clocks]
            flow.run()
            streamed = [clock() - began for clock, began in zip(clocks, start, strict=True)]
            flow.finalize()
            for kind, a, b in zip(ratios, streamed, memory, strict=True):
                ratios[kind].append(a / b)
            same = np.array_equal(open_volume(folder / "out.ome.zarr").read(), result)
            print(
                f"streamed / in memory: CPU {ratios['CPU'][-1]:.3f}, wall {ratios['wall'][-1]:.3f}; "
                f"equal voxels: {same}"
            )
        print(", ".join(f"{kind} {statistics.median(found):.3f}" for kind, found in ratios.items()))


if __name__ == "__main__":
    main()
