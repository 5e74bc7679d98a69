"""Processes of a launcher such as `accelerate launch`."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import PartialState


def launched_processes() -> PartialState | None:
    """accelerate's PartialState under a launcher of several processes; else None, and accelerate is not loaded."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return None
    from accelerate import PartialState

    from gen_inbetween.runtime.devices import default_device

    # Without a GPU accelerate wants to be told, or takes every process for the only one. The timeout: the first process
    # to finish waits for the slowest, and the usual ten minutes of patience would end the others' work.
    return PartialState(cpu=default_device().type == "cpu", timeout=timedelta(weeks=4))
