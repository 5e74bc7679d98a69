"""Draw the pictures of the page "Three ideas".

python docs/images/draw_ideas.py      # writes rotate.svg, tune.svg and fuse.svg beside itself
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

plt.rcParams["svg.fonttype"] = "none"  # text stays text: small files, and readers can search them
plt.rcParams["svg.hashsalt"] = "gen_inbetween"  # the same file each time
FOLDER = Path(__file__).resolve().parent
FORWARD, BACKWARD, FROZEN = "#2b6cb0", "#c05621", "#cbd5e0"


def canvas(width: float, height: float) -> Axes:
    """Axes without a frame, in units of an inch."""
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    return axes


def save(axes: Axes, name: str) -> None:
    axes.figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = "#4a5568") -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color=colour, lw=1.4))


def box(axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor="#2d3748", lw=1))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=11)


def attention_map(axes: Axes, x: float, y: float, values: np.ndarray, title: str) -> None:
    side = 0.3
    frames = len(values)
    for row in range(frames):
        for column in range(frames):
            shade = 1 - values[row, column]
            corner = (x + column * side, y + (frames - 1 - row) * side)
            axes.add_patch(Rectangle(corner, side, side, facecolor=(shade, shade, 1), edgecolor="white", lw=1))
    axes.text(x + frames * side / 2, y + frames * side + 0.15, title, ha="center", fontsize=11)
    axes.text(x + frames * side / 2, y - 0.25, "attended frame", ha="center", fontsize=9, color="#4a5568")


def rotate() -> None:
    """A map in which each frame looks mostly at the one before it, and the same map rotated by 180 degrees."""
    frames = 5
    row, column = np.indices((frames, frames))
    values = np.exp(-0.8 * np.abs(row - 1 - column)) * np.where(column <= row, 1, 0.35)
    values /= values.max()
    axes = canvas(7.2, 2.6)
    attention_map(axes, 0.6, 0.55, values, "A: forward motion")
    attention_map(axes, 4.9, 0.55, values[::-1, ::-1], "J A J: backward motion")
    axes.text(0.4, 1.3, "attending frame", rotation=90, va="center", ha="center", fontsize=9, color="#4a5568")
    arrow(axes, (2.5, 1.3), (4.6, 1.3))
    axes.text(3.55, 1.45, "rotate by 180°", ha="center", fontsize=11)
    axes.text(3.55, 0.95, "(J A J) V = J (A (J V))", ha="center", fontsize=11, family="monospace")
    save(axes, "rotate")


def tune() -> None:
    """A temporal self-attention layer: queries and keys frozen, values and output projection with an update."""
    axes = canvas(7.2, 2.4)
    for y, name, colour in ((1.65, "to_q", FROZEN), (0.95, "to_k", FROZEN), (0.25, "to_v  +  ΔW", "#f6ad55")):
        box(axes, 1.2, y, 1.5, 0.5, name, colour)
        arrow(axes, (0.55, 1.2), (1.2, y + 0.25))
    axes.text(0.3, 1.2, "x", ha="center", va="center", fontsize=13)
    box(axes, 3.5, 0.7, 1.2, 1.0, "attention", "#edf2f7")
    for y in (1.9, 1.2, 0.5):
        arrow(axes, (2.7, y), (3.5, 1.2))
    box(axes, 5.2, 0.95, 1.5, 0.5, "to_out  +  ΔW", "#f6ad55")
    arrow(axes, (4.7, 1.2), (5.2, 1.2))
    axes.text(5.95, 0.4, "ΔW: 24.8 M weights of 1.5 G", ha="center", fontsize=10)
    save(axes, "tune")


def fuse() -> None:
    """One pass over both directions; the backward result is flipped and averaged in."""
    axes = canvas(7.2, 2.6)

    def frames(x: float, y: float, order: str, colour: str) -> None:
        for number, name in enumerate(order):
            box(axes, x + 0.33 * number, y, 0.3, 0.42, name, colour)

    frames(0.2, 1.7, "0123", "#bee3f8")
    frames(0.2, 0.5, "3210", "#feebc8")
    axes.text(0.85, 2.25, "x, forward in time", ha="center", fontsize=10)
    axes.text(0.85, 0.2, "J x, backward in time", ha="center", fontsize=10)
    box(axes, 2.2, 0.8, 1.1, 1.0, "one UNet,\none batch", "#edf2f7")
    arrow(axes, (1.6, 1.9), (2.2, 1.45), FORWARD)
    arrow(axes, (1.6, 0.7), (2.2, 1.15), BACKWARD)
    frames(4.1, 1.7, "0123", "#bee3f8")
    frames(4.1, 0.5, "0123", "#feebc8")
    arrow(axes, (3.3, 1.45), (4.05, 1.9), FORWARD)
    arrow(axes, (3.3, 1.15), (4.05, 0.7), BACKWARD)
    axes.text(3.72, 0.45, "flip", ha="center", fontsize=10, color=BACKWARD)
    arrow(axes, (5.5, 1.9), (6.0, 1.4))
    arrow(axes, (5.5, 0.7), (6.0, 1.2))
    box(axes, 6.0, 1.05, 1.0, 0.5, "average", "#c6f6d5")
    save(axes, "fuse")


if __name__ == "__main__":
    rotate()
    tune()
    fuse()
