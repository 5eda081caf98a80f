"""The blocks of a scan as a data set: each with its halo, in the order in which they are written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch.distributed as dist
from monai.data import MetaTensor
from torch.utils.data import Dataset

from rockmonai.data.reading_ahead import ReadingAhead
from rockmonai.data.scan import Scan
from rockmonai.errors import DataError, first_line
from rockmonai.volumes.blocks import Block


class BlockDataset(Dataset):
    """Reads the core and the halo of every block that is still missing.

    An item is ``{"image": (1, C, [Z,] Y, X), "block": its number}``; the image knows its block, too, as
    ``image.meta["block"]``, which is how an inferer learns where in the volume it is. With ``torch.distributed`` every
    rank has every n-th block.

    Args:
        scan: what is read.
        blocks: all blocks of the volume.
        done: numbers of those that an earlier run has finished.
    """

    def __init__(self, scan: Scan, blocks: Sequence[Block], done: Collection[int] = ()) -> None:
        self.scan = scan
        missing = [block for block in blocks if block.index not in done]
        rank, ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.blocks = missing[rank::ranks]

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> dict[str, Any]:
        block = self.blocks[number]
        image = MetaTensor(self.scan.read(block.read)[None], meta={"block": block.index})
        return {"image": image, "block": block.index}


class BlockLoader(ReadingAhead):
    """Hands over one block after the other; with workers, the next ones are read while the network is at work.

    Args:
        dataset: the blocks.
        num_workers: processes that read ahead, two blocks each; 0 reads in this process.
    """

    def __init__(self, dataset: BlockDataset, num_workers: int = 0) -> None:
        super().__init__(dataset, min(num_workers, len(dataset)), batch_size=None)

    def __iter__(self) -> Any:
        """Yield the blocks.

        Raises:
            DataError: a block could not be read, or a worker died.
        """
        try:
            yield from super().__iter__()
        except (RuntimeError, OSError, EOFError) as error:
            path = self.dataset.scan.path  # type: ignore[attr-defined]
            raise DataError(
                f"{path} could not be read to its end ({first_line(error)}): run the same command again, with "
                "--num_workers 0 if a worker died."
            ) from error
