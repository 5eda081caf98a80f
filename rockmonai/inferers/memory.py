"""How much memory a computation takes at its worst moment, and keeping what was taken once."""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> None:
    """Have the process keep the memory of freed tensors for the next ones, where the C library is glibc.

    By default each large tensor is fresh from the system, which clears it page by page: a quarter of the time of an
    inference on a CPU. The memory of the largest block stays with the process until it ends.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for setting in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            libc.mallopt(setting, 1 << 30)
        libc.mallopt(_ARENA_MAX, 1)  # else every thread keeps its own


def peak_bytes(function: Callable[..., Any], *arguments: Any) -> int:
    """Return the most bytes that the tensors made by ``function`` take at one time.

    On the device ``"meta"``, where tensors have a shape but no values, the answer comes at once whatever their size.
    What the kernels of a device allocate for themselves is not seen.

    Args:
        function: what would be computed.
        *arguments: its arguments.
    """
    with _Ledger() as ledger:
        function(*arguments)
    return ledger.peak


class _Ledger(TorchDispatchMode):
    """Notes every new storage, and forgets it when it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, nbytes: int) -> None:
        self._known.discard(key)
        self._now -= nbytes
