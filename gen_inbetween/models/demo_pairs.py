"""Keyframes of the demo, bundled beside the models."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

PAIRS = ("walker", "cart", "car", "ball", "photo")
KNOWN: dict[str, dict[str, Any]] = {  # of drawn pairs: their clips' own
    "walker": {"fps": 8, "motion_bucket_id": 180},
    "cart": {"fps": 7, "motion_bucket_id": 68},
    "car": {"fps": 10, "motion_bucket_id": 48},
    "ball": {"fps": 12, "motion_bucket_id": 143},
}


def keyframes(pair: str) -> tuple[Path, Path]:
    """The two image files of a bundled pair; ValueError where this installation has none."""
    folder = Path(str(resources.files("gen_inbetween.models") / "pocket_2" / "demo"))
    first, last = folder / f"{pair}_first.png", folder / f"{pair}_last.png"
    for path in (first, last):
        if not path.is_file():
            raise ValueError(f"the demo's keyframe {path.name} is not installed: install from a full clone")
    return first, last
