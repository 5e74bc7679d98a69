"""Numbers typed into text fields, whose emptiness leaves them to the program."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import gradio as gr

from gen_inbetween.app.page.settings import PageSettings

USUAL = "usual"  # of a setting that is left to the program


@dataclass(frozen=True)
class NumberField:
    """A number by the name it has on the page, and its range.

    Gradio's own field shows 0 where it is empty, and reports a number out of range without its name.

    >>> NumberField("--frames", 2, 200).read(" 25 ")
    25
    """

    label: str
    least: float
    most: float
    whole: bool = True

    def control(self, value: str = "", **options: Any) -> Any:
        """The field."""
        return gr.Textbox(value, label=self.label, placeholder=USUAL, max_lines=1, min_width=100, **options)

    def read(self, text: str | None) -> Any:
        """The number; None: the field is empty. ValueError: no number, or out of its range."""
        said = (text or "").strip()
        if not said:
            return None
        try:
            number = int(said) if self.whole else float(Fraction(said)) if "/" in said else float(said)
        except (ValueError, ZeroDivisionError, OverflowError):
            number = math.nan
        if not self.least <= number <= self.most:
            kind = "a whole number" if self.whole else "a number"
            raise ValueError(f"{self.label}: expected {kind} from {self.least:g} to {self.most:g}, got {said!r}")
        return number


SEED = NumberField("--seed", 0, 2**53)  # as far as JSON's numbers are exact


def run_numbers(settings: PageSettings) -> dict[str, NumberField]:
    """The numbers of a run between pictures, by the names of its settings."""
    return {
        "num_frames": NumberField("--frames", 2, settings.max_frames),
        "num_inference_steps": NumberField("--steps", 1, settings.max_steps),
        "seed": SEED,
        "fps": NumberField("--fps", 1, 120, whole=False),
        "width": NumberField("--set width=", 16, 4096),
        "height": NumberField("--set height=", 16, 4096),
    }
