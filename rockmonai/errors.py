"""What can go wrong, in one sentence each, with the exit code a script can act on.

A message says what was wrong, what was found and what to do; it never needs a traceback to be understood.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable


class RockError(Exception):
    """Base of every error that a user can mend; its text is one sentence in plain words."""

    exit_code = 1

    @property
    def sentence(self) -> str:
        """The text alone, also when a DataLoader has sent the error home from a worker as the text of a traceback."""
        return str(self).rstrip().rpartition(f"{type(self).__name__}: ")[2]


class UsageError(RockError):
    """A command or a config asks for something that does not exist."""

    exit_code = 2


class DataError(RockError):
    """An input image, volume or data set cannot be used as it is."""

    exit_code = 3


class NoWindow(DataError):
    """No window of one image is worth training on; another image may have some."""


class ModelError(RockError):
    """A checkpoint is missing, damaged or made for another network."""

    exit_code = 4


class OutputError(RockError):
    """An output exists already, is locked, or cannot be written."""

    exit_code = 5


class NumericalError(RockError):
    """A computation left the finite numbers, or a training collapsed."""

    exit_code = 6


class TrustError(RockError):
    """A bundle is not what its manifest says, or asks for what it may not do."""

    exit_code = 7


class Stopped(RockError):
    """The run was asked to stop, saved its state and can be resumed."""

    exit_code = 75


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'epochs'?)"`` for the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def first_line(error: BaseException) -> str:
    """Return the first line of what a library said, or its type when it said nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def find_rock_error(error: BaseException | None) -> RockError | None:
    """Return the RockError that caused ``error``, however deep MONAI and Ignite have wrapped it."""
    while error is not None:
        if isinstance(error, RockError):
            return error
        error = error.__cause__ or error.__context__
    return None


def report_in_one_sentence() -> None:
    """Make an uncaught RockError end the process with its sentence as the last line and its own exit code.

    Without this, ``python -m monai.bundle run`` buries the cause under the traces of every component it was
    building. Set ``ROCKMONAI_DEBUG=1`` to see them.
    """
    default = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: object) -> None:
        cause = find_rock_error(error)
        if cause is None or os.environ.get("ROCKMONAI_DEBUG"):
            default(kind, error, trace)  # type: ignore[arg-type]
        if cause is not None:
            print(f"rockmonai: {cause.sentence}", file=sys.stderr, flush=True)
            # The interpreter takes the exit code of a SystemExit that an excepthook raises.
            raise SystemExit(cause.exit_code)

    sys.excepthook = hook
