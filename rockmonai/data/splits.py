"""Which part of a data set each split uses: the names of splits, and shares of what comes without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rockmonai.errors import DataError, UsageError, did_you_mean

Records = list[dict[str, Any]]

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "validate", "val", "valid"),
    "test": ("test", "testing"),
}


def check_split(split: str, holdout: float | None) -> None:
    """Refuse a split or a share that does not exist.

    Raises:
        UsageError: ``split`` is none of ``SPLITS``, or ``holdout`` is neither between 0 and 1 nor None.
    """
    if split not in SPLITS:
        raise UsageError(f"There is no split '{split}'{did_you_mean(split, SPLITS)}; choose {', '.join(SPLITS)}.")
    if holdout is not None and not 0 < holdout < 1:
        raise UsageError(
            f"holdout is {holdout}, but it is the share kept from training: pass more than 0, less than 1."
        )


def hold_out(
    records: Records, split: str, holdout: float | None, kept: Sequence[str] = ("validation", "test")
) -> Records:
    """Return the records of one split of a data set that lacks some; no voxel is in two of them.

    The last ``holdout`` of the records, at least one for each split of ``kept``, are kept from training and divided
    among these. Where two splits are kept from two records, the first trains and the halves of the second validate and
    test. A single record is cut, so that ``holdout`` of it is kept. A record of which a split uses a part only says so
    as ``share``: where the part begins and ends along the first axis, from 0 to 1.

    Args:
        records: all that there are.
        split: ``"train"`` or one of ``kept``.
        holdout: share that is kept from training, between 0 and 1; None for all records in every split.
        kept: the splits that the data set does not have.
    """
    if holdout is None:
        return records
    count, parts = len(records), len(kept)
    whole = min(max(parts, round(count * holdout)), count - 1)
    if split not in kept:
        return records[: count - whole] if whole else [{**records[0], "share": (0, 1 - holdout)}]
    part = kept.index(split)
    if whole >= parts:
        first = count - whole
        return records[first + whole * part // parts : first + whole * (part + 1) // parts]
    cut = 1.0 if whole else holdout
    return [{**records[-1], "share": tuple(1 - cut * (parts - n) / parts for n in (part, part + 1))}]


def leave_one_out(given: Mapping[str, Records], split: str, fold: int) -> Records:
    """Return all records but one for training, and that one for validation and test.

    Args:
        given: records of every split that the data set has; one that is in several counts once. Where two of them
            have the same name in different splits, all names begin with their split.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        fold: number of the record that is left out, counted from 0 through all splits.

    Raises:
        DataError: there is no such record, or no other one.
    """
    distinct: dict[str, tuple[str, dict[str, Any]]] = {}
    for part, records in given.items():
        for record in records:  # a list may name an image in two splits
            shown = {key: value for key, value in record.items() if key != "name"}
            distinct.setdefault(str(sorted(shown.items())), (part, record))
    names = Counter(record["name"] for _, record in distinct.values())
    alike = len(given) > 1 and max(names.values()) > 1
    everything = [
        {**record, "name": f"{part}_{record['name']}"} if alike else record for part, record in distinct.values()
    ]
    count = len(everything)
    if count == 1:
        raise DataError("The data set has 1 image, which leaves none to train on: leave --fold out to cut it in parts.")
    if fold not in range(count):
        raise DataError(
            f"There is no image number {fold} to leave out of {count}: pass a --fold from 0 to {count - 1}."
        )
    return everything[:fold] + everything[fold + 1 :] if split == "train" else [everything[fold]]
