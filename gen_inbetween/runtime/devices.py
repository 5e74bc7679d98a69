"""The device that computes: the best available, or one by name."""

from __future__ import annotations

import os
from pathlib import Path

import torch

UNLIMITED = 2**60  # bytes; version 1 of control groups says "no limit" by a number near 2^63


def default_device() -> torch.device:
    """cuda, mps or cpu: the first there is."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def open_device(name: str | torch.device | None = None, *, mps: bool = True) -> torch.device:
    """The device of that name; for None the best there is.

    mps: whether mps may be the best: not every release samples beyond a frame's border, which interpolators need.
    ValueError: no such device here.
    """
    if name is None:
        device = default_device()
        return device if mps or device.type != "mps" else torch.device("cpu")
    expected = f"device {str(name)!r}: expected cuda, cuda:1, mps or cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(expected) from error
    if device.type not in ("cpu", "cuda", "mps") or (device.index and device.type != "cuda"):
        raise ValueError(expected)
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if (device.index or 0) >= count:
        finds = f"only {count}" if count else f"no {device.type.upper()} device"
        raise ValueError(
            f"device {str(name)!r}: this torch ({torch.__version__}) finds {finds}; None takes the best there is"
        )
    return device


def container_memory(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that this process may still take under the memory limits of its control groups; None: there is no limit.

    A container's limit is not seen in the memory of the machine. Every group above the process's own counts; what its
    files occupy can be given back.

    Args:
        root: where control groups are mounted. groups: the process's groups, a line each ("0::/path" in version 2).
    """
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines() if line.count(":") >= 2]
    except OSError:
        return None
    free = []
    for _, kinds, path in lines:
        if kinds not in ("", "memory"):
            continue
        top = root / kinds if kinds else root
        inner = top / path.lstrip("/")
        folders = [inner, *inner.parents[: len(inner.parts) - len(top.parts)]]
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if kinds else ("memory.max", "memory.current")
        free += [left for folder in folders if (left := _left(folder, *names)) is not None]
    return min(free, default=None)


def _left(folder: Path, limit: str, usage: str) -> int | None:
    """Bytes left in one control group; None: it has no limit."""
    try:
        most, used = ((folder / name).read_text().strip() for name in (limit, usage))
        if not most.isdecimal() or int(most) >= UNLIMITED:
            return None
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        files = int(statistics.get("inactive_file", 0))
    except (OSError, ValueError):
        return None
    return max(0, int(most) - max(0, int(used) - files))


def free_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes that may still be taken here: of the machine's memory, and under the limits of `container_memory`.

    None: this system tells neither.
    """
    free = [] if (left := container_memory()) is None else [left]
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        pass
    return min(free, default=None)


def free_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_dtype(device: torch.device) -> torch.dtype:
    """float16 on a GPU, float32 on a CPU.

    >>> default_dtype(torch.device("cpu"))
    torch.float32
    """
    return torch.float32 if device.type == "cpu" else torch.float16


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; without, a UNet takes some ten times as long as in float32.

    It is what oneDNN, which computes torch's layers on a CPU, says of itself.
    """
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
