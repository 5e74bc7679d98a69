"""Accelerator of a training run: processes, precision, tracker."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import InitProcessGroupKwargs

from gen_inbetween.runtime.config import ConfigError
from gen_inbetween.runtime.devices import default_device, multiplies_bfloat16
from gen_inbetween.runtime.messages import warn_once
from gen_inbetween.training.settings import flatten


def open_accelerator(
    settings: Mapping[str, Any], output: Path, *, report_to: str, mixed_precision: str, gradient_accumulation_steps: int
) -> Accelerator:
    """Accelerate as every recipe here uses it. On a CPU it stays there, also with several processes.

    Args:
        settings: of the run, nested, for the tracker to show; output: the folder for its logs.
        report_to: "none", or what accelerate knows.

    Raises:
        ConfigError: the tracker is not installed.
    """
    if report_to != "none" and report_to not in [str(known) for known in get_available_trackers()]:
        raise ConfigError(f"the tracker {report_to!r} is not installed here: pip install it, or set report_to=none")
    accelerator = Accelerator(
        cpu=default_device().type == "cpu",  # else each of several processes takes itself for the only one
        mixed_precision=mixed_precision,
        gradient_accumulation_steps=gradient_accumulation_steps,
        log_with=None if report_to == "none" else report_to,
        project_dir=output,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(weeks=1))],  # others wait for caching and validation
    )
    if mixed_precision == "bf16" and accelerator.device.type == "cpu" and not multiplies_bfloat16():
        warn_once("mixed_precision=bf16 takes this CPU many times as long as no")
    if report_to != "none":
        accelerator.init_trackers("tracker", {key: str(value) for key, value in flatten(dict(settings)).items()})
    return accelerator
