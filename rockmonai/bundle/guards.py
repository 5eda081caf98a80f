"""What an inference leaves beside its result, so that nobody has to trust it blindly."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import torch
import torch.distributed as dist

from rockmonai.data.scan import Scan
from rockmonai.inferers.tiling import Tiling
from rockmonai.metrics import Consistency
from rockmonai.transforms import GreyRange, output_limits, scale_grey
from rockmonai.volumes import atomic_write, open_volume
from rockmonai.volumes.blocks import size_of

logger = logging.getLogger("rockmonai")


class Guards:
    """Compares a finished prediction, averaged over the voxels of its scan, with that scan.

    What is written is ``<output_file>.guards.json``: ``downsampling_error`` and ``contrast_correlation`` of the whole
    volume (see :func:`rockmonai.metrics.downsampling_error`), ``contrast`` in a word, ``kept``, ``inverted`` or, of a
    single grey, ``unknown``, the number of ``blocks`` and how many are ``inverted_blocks`` by themselves. Both files
    are read once more for it, block by block: whoever wrote the blocks, it is the result on the disk that is judged.

    Args:
        output_file: the prediction.
        scan: what it was made of.
        tiling: the blocks.
        grey_range: the greys of -1 and 1, as the writer of the blocks had them.
    """

    def __init__(self, output_file: str, scan: Scan, tiling: Tiling, grey_range: GreyRange = "dtype") -> None:
        self.path, self.scan, self.tiling, self.grey_range = Path(output_file), scan, tiling, grey_range

    def write(self) -> None:
        """Compare, write the file, and warn of inverted contrast."""
        if dist.is_initialized() and dist.get_rank() > 0:
            return
        pred = open_volume(self.path)
        limits = output_limits(self.grey_range, self.scan.dtype, pred.dtype)
        whole, inverted = Consistency(), 0
        for block in self.tiling.blocks:
            where = block.output(self.tiling.scale)
            # Some formats give a volume of one slice back as an image.
            greys = torch.from_numpy(pred[(slice(None), *where[-pred.spatial_dims :])]).reshape(-1, *size_of(where))
            part = Consistency()
            part.add(scale_grey(greys, *limits)[None], self.scan.read(block.core)[None])
            whole.merge(part)
            inverted += part.correlation < 0
        contrast = "unknown" if math.isnan(whole.correlation) else "inverted" if whole.correlation < 0 else "kept"
        figures = {"downsampling_error": whole.error, "contrast_correlation": whole.correlation}
        report = {
            **{name: round(value, 6) if math.isfinite(value) else None for name, value in figures.items()},
            "contrast": contrast,
            "blocks": len(self.tiling.blocks),
            "inverted_blocks": inverted,
        }
        target = self.path.with_name(f"{self.path.name}.guards.json")
        with atomic_write(target) as path:
            path.write_text(json.dumps(report, indent=2) + "\n")
        say = logger.info if contrast == "kept" else logger.warning
        say(
            f"contrast {contrast} (correlation {whole.correlation:.3f} with the scan), down-sampling error "
            f"{whole.error:.3f} of the scan's standard deviation: {target}"
        )
