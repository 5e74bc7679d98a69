"""Moving pictures that tests of media share."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image


def moving(num_frames: int = 12, width: int = 80, height: int = 64) -> list[Image.Image]:
    """A bright square crosses coloured ground, three pixels a frame: frame t can be told by where the square is."""
    y, x = np.mgrid[:height, :width]
    frames = []
    for time in range(num_frames):
        pixels = np.stack([40 + x * 2, 60 + y * 3, 120 - x], axis=-1).astype(np.uint8)
        pixels[8:20, 3 * time : 3 * time + 10] = (250, 240, 20)
        frames.append(Image.fromarray(pixels))
    return frames


def arrays(frames: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in frames]).astype(int)


def encode(
    path: Path, frames: list[Image.Image], codec: str, pixels: str = "yuv420p", rotation: int = 0, rate: int = 10
) -> None:
    """Write with PyAV what write_video does not write: other codecs, pixel formats and rotated streams."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, pixels
        if rotation:
            stream.set_display_rotation(rotation)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
