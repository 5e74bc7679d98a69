"""Settings of the page: where it keeps its files, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gen_inbetween.runtime.config import Count

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class PageSettings:
    """What the page allows."""

    folder: Path = Path("inbetween_page")  # of uploads and results; nothing else is served
    models: tuple[str, ...] = ("auto", "pocket-2")  # that may be chosen, the first where none is
    max_mb: Positive = 4000  # of one upload
    max_megapixels: Positive = 40  # of a picture
    max_frames: Count = 200  # of a clip between pictures
    max_steps: Count = 200
    queue: Count = 20  # runs that wait; the next is refused
    keep_hours: Positive = 24  # of uploads and results
    device: str | None = None
