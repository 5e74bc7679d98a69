"""The device that computes: the best available, or one by name."""

from __future__ import annotations

import torch


def default_device() -> torch.device:
    """cuda, mps or cpu: the first there is."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def check_device(name: str | None) -> torch.device | None:
    """The device of that name, None for None; ValueError where there is no such device here."""
    try:
        device = None if name is None else torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device {name!r}: expected cuda, cuda:1, mps or cpu") from error
    if device is not None and device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device {name!r}: this torch ({torch.__version__}) finds no CUDA device; None takes the best there is"
        )
    return device
