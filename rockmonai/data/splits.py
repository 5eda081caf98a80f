"""Which part of a data set each split uses: the names of splits, and shares of what comes without them."""

from __future__ import annotations

from typing import Any

from rockmonai.errors import UsageError, did_you_mean

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}


def check_split(split: str, holdout: float) -> None:
    """Refuse a split or a share that does not exist.

    Raises:
        UsageError: ``split`` is none of ``SPLITS``, or ``holdout`` is not between 0 and 1.
    """
    if split not in SPLITS:
        raise UsageError(f"There is no split '{split}'{did_you_mean(split, SPLITS)}; choose {', '.join(SPLITS)}.")
    if not 0 < holdout < 1:
        raise UsageError(
            f"holdout is {holdout}, but it is the share kept from training: pass more than 0, less than 1."
        )


def hold_out(records: list[dict[str, Any]], split: str, holdout: float) -> list[dict[str, Any]]:
    """Return the records of one split of a data set that has none; no voxel is in two of them.

    From three records on, the last ``holdout`` of them, at least two, are kept from training: the first half validates,
    the second half tests. Of two records, the first trains and the halves of the second validate and test. A single one
    is cut in three, so that ``holdout / 2`` validates and as much tests. A record of which a split uses a part only
    says so as ``share``: where the part begins and ends along the first axis, from 0 to 1.
    """
    count, border = len(records), 1 - holdout / 2
    if count == 1:
        share = {"train": (0, 1 - holdout), "validation": (1 - holdout, border), "test": (border, 1)}
        return [{**records[0], "share": share[split]}]
    if count == 2:
        half = {"validation": (0, 0.5), "test": (0.5, 1)}
        return [{**records[1], "share": half[split]}] if split in half else records[:1]
    first = count - min(max(2, round(count * holdout)), count - 1)
    middle = (first + count) // 2
    return {"train": records[:first], "validation": records[first:middle], "test": records[middle:]}[split]
