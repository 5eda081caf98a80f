"""What is drawn where nobody knows which images show the same: patches of several domains, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset

from rockmonai.data.keyed import keyed_seed
from rockmonai.data.patches import PatchDataset


class UnpairedDataset(Dataset):
    """An endless sequence of patches of several domains; those of item ``n`` have nothing to do with each other.

    Every domain is a :class:`PatchDataset` with a seed of its own, so that windows, flips and the order of records are
    independent, and item ``n`` is a function of ``(seed, n)`` alone.

    Args:
        data: the records of each domain, by the key that its patches are to have; within a record they are its
            ``image``, as ``pairs(..., folders={"image": "slow"}, reference="image")`` gives.
        transform: dictionary transforms that turn a record into a patch, one for all domains or one for each.
        length: number of items that ``len()`` reports; ``None`` for that of the longest list of records.
        seed: the key's first part.

    Raises:
        NoWindow: on drawing, if no record of a domain has an acceptable window.

    Example:
        >>> greys = {"image": [{"image": 1}], "label": [{"image": 2}]}
        >>> UnpairedDataset(greys, dict)[7]
        {'image': 1, 'label': 2}
    """

    def __init__(
        self,
        data: Mapping[str, Sequence[Mapping[str, Any]]],
        transform: Callable[[dict], dict] | Mapping[str, Callable[[dict], dict]],
        length: int | None = None,
        seed: int = 0,
    ) -> None:
        transforms = transform if isinstance(transform, Mapping) else dict.fromkeys(data, transform)
        self.data = data
        self.domains = {
            key: PatchDataset(records, transforms[key], seed=keyed_seed(seed, number))
            for number, (key, records) in enumerate(data.items())
        }
        self.length = max(map(len, data.values())) if length is None else length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: int) -> dict:
        return {key: patches[draw]["image"] for key, patches in self.domains.items()}
