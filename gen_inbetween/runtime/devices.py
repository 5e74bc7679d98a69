"""The device that computes: the best available, or one by name."""

from __future__ import annotations

import torch


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


def default_dtype(device: torch.device) -> torch.dtype:
    """float16 on a GPU, float32 on a CPU.

    >>> default_dtype(torch.device("cpu"))
    torch.float32
    """
    return torch.float32 if device.type == "cpu" else torch.float16
