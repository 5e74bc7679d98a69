"""Seconds and peak memory of a run, for its manifest."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def measure_cost(device: torch.device) -> Iterator[dict[str, Any]]:
    """Yield a dict that holds "seconds" and "peak_memory" once the block is left.

    peak_memory is {"gb": 1e9 bytes, "of": what was measured}: on a GPU the tensors of this block at their most; else
    the whole process since it started, which is all that the system keeps. None where it does not tell.
    """
    cost: dict[str, Any] = {}
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    yield cost
    if cuda:
        torch.cuda.synchronize(device)
    cost["seconds"] = round(time.perf_counter() - start, 3)
    cost["peak_memory"] = _gpu_peak(device) if cuda else _process_peak()


def _gpu_peak(device: torch.device) -> dict[str, Any]:
    return {"gb": round(torch.cuda.max_memory_allocated(device) / 1e9, 3), "of": f"{device}, this run"}


def _process_peak() -> dict[str, Any] | None:
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kibibytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"gb": round(peak / 1e9, 3), "of": "the process since it started"}
