"""The device that computes by default, and notices given once per process."""

from __future__ import annotations

import logging
from functools import cache

import torch

log = logging.getLogger("gen_inbetween")


def default_device() -> torch.device:
    """cuda, mps or cpu: the first there is."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@cache
def warn_once(message: str) -> None:
    """Log a notice the first time it is due in this process: a batch of a thousand clips says it once."""
    log.warning("%s", message)
