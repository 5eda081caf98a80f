"""What training draws: an endless, numbered sequence of patches, and a loader that walks along it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch.distributed as dist
from monai.data import list_data_collate
from monai.transforms import Randomizable
from torch.utils.data import Dataset, Sampler

from rockmonai.data.keyed import keyed_seed
from rockmonai.data.reading_ahead import ReadingAhead
from rockmonai.errors import NoWindow, find_rock_error

logger = logging.getLogger("rockmonai")


class PatchDataset(Dataset):
    """An endless sequence of patches; patch ``n`` is a function of ``(seed, n)`` alone.

    ``dataset[n]`` picks one of ``data`` and sends it through ``transform`` with all randomness keyed by ``(seed, n)``.
    Training walks along the integers; a validation that asks for the first ``length`` patches of its own seed sees
    the same windows in every epoch of every run.

    A record without a window worth training on, such as a nearly black slice, is passed over for the next one in the
    order of the round, with one warning for each such record (in each worker).

    Args:
        data: the records to draw from, one mapping of key to path each (see :func:`rockmonai.data.pairs`).
        transform: dictionary transforms that turn a record into a patch.
        length: number of patches that ``len()`` reports; ``None`` for the number of records.
        seed: the key's first part.

    Raises:
        NoWindow: on drawing, if no record has an acceptable window.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[dict], dict],
        length: int | None = None,
        seed: int = 0,
    ) -> None:
        self.data = data
        self.transform = transform
        self.length = len(data) if length is None else length
        self.seed = seed
        self._passed_over: set[int] = set()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: int) -> dict:
        # Every record comes once in each round of len(data) draws, in an order that changes from round to round.
        draw_round, position = divmod(draw, len(self.data))
        order = _order(self.seed, draw_round, len(self.data))
        for number in (*order[position:], *order[:position]):
            try:
                return self._patch(number, draw)
            except NoWindow as error:
                refusal = error
                if number not in self._passed_over:
                    logger.warning("%s Patches of other records take its place.", error)
                self._passed_over.add(number)
        raise refusal

    def _patch(self, number: int, draw: int) -> dict:
        if isinstance(self.transform, Randomizable):
            self.transform.set_random_state(keyed_seed(self.seed, draw))
        try:
            return self.transform(dict(self.data[number]))
        except Exception as error:
            cause = find_rock_error(error)
            if cause is None:
                raise
            # A worker sends home the type and text of the outermost error alone: let it be ours, not MONAI's wrapper.
            raise cause from error


class PatchLoader(ReadingAhead):
    """A DataLoader that walks along the draws of a :class:`PatchDataset` and can start anywhere.

    Its workers never restart between epochs, and a run that is resumed at iteration ``k`` continues with the very
    patches that an uninterrupted run would have seen. With ``torch.distributed`` every rank takes every n-th batch.

    Args:
        dataset: the numbered patches.
        batch_size: patches a batch (and rank).
        epoch_length: batches an epoch, reported by ``len()``.
        num_workers: worker processes that prepare patches ahead; 0 prepares them in this process.
    """

    def __init__(self, dataset: Dataset, batch_size: int, epoch_length: int, num_workers: int = 0) -> None:
        self.walk = _Walk(batch_size)
        self.epoch_length = epoch_length
        super().__init__(dataset, num_workers, batch_sampler=self.walk, collate_fn=list_data_collate)

    def start_at(self, iteration: int) -> None:
        """Make the next pass begin with the batch of ``iteration`` (0 is the first)."""
        self.walk.first = iteration

    def __len__(self) -> int:
        return self.epoch_length


class _Walk(Sampler[list[int]]):
    """Batches of consecutive draw numbers, without end."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.first = 0

    def __iter__(self) -> Iterator[list[int]]:
        distributed = dist.is_available() and dist.is_initialized()
        rank, ranks = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
        for iteration in itertools.count(self.first):
            start = (iteration * ranks + rank) * self.batch_size
            yield list(range(start, start + self.batch_size))


def _order(seed: int, draw_round: int, count: int) -> Sequence[int]:
    """Return the permutation of ``count`` records that one round of draws follows."""
    return np.random.default_rng((seed, draw_round)).permutation(count).tolist()
