"""The accelerator of a training run: one process or several, and a tracker that is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import InitProcessGroupKwargs

from gen_inbetween.models.registry import default_device
from gen_inbetween.runtime.config import ConfigError
from gen_inbetween.training.settings import flatten


def open_accelerator(
    settings: Mapping[str, Any], output: Path, *, tracker: str, precision: str, accumulation: int
) -> Accelerator:
    """Accelerate as every recipe here uses it. On a CPU it stays there, also with several processes.

    Args:
        settings: of the run, nested, for the tracker to show; output: the folder for its logs.
        tracker: "none", or what accelerate knows.

    Raises:
        ConfigError: the tracker is not installed.
    """
    if tracker != "none" and tracker not in [str(known) for known in get_available_trackers()]:
        raise ConfigError(f"the tracker {tracker!r} is not installed here: pip install it, or set tracker=none")
    accelerator = Accelerator(
        cpu=default_device().type == "cpu",  # else each of several processes takes itself for the only one
        mixed_precision=precision,
        gradient_accumulation_steps=accumulation,
        log_with=None if tracker == "none" else tracker,
        project_dir=output,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(weeks=1))],  # others wait for caching and validation
    )
    if tracker != "none":
        accelerator.init_trackers("tracker", {key: str(value) for key, value in flatten(dict(settings)).items()})
    return accelerator
