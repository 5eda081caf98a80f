"""Which images of an evaluation belong together, such as those of one rock."""

from __future__ import annotations

from collections.abc import Sequence

from rockmonai.errors import UsageError

OTHER = "other"


def group_of(name: str, groups: Sequence[str] | str) -> str:
    """Return the group that an image belongs to by its name, ``"other"`` where it is none of them.

    Args:
        name: of the image, such as ``carbonate_0801``.
        groups: ``"prefix"`` for what precedes the first ``_``, or a list of prefixes, of which the longest counts.

    Raises:
        UsageError: for another word than ``"prefix"``.
    """
    if isinstance(groups, str):
        if groups != "prefix":
            raise UsageError(f"groups is \"prefix\" or a list of prefixes such as ['{groups}'], not '{groups}'.")
        prefix, underscore, _ = name.partition("_")
        return prefix if prefix and underscore else OTHER
    return max((group for group in groups if name.startswith(group)), key=len, default=OTHER)
