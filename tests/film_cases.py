"""Films whose frames say their number, and odd files of them, that tests of the film commands share."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image

from gen_inbetween.media.video import read_frames

BITS, SIDE = 6, 8  # numbers up to 63, as squares of so many pixels along the top


def numbered(number: int, width: int = 64, height: int = 48) -> Image.Image:
    """A square that moves two pixels a frame, and the frame's number in black and white squares along the top."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([60 + x, 90 + y, 140 + 0 * x], -1).astype(np.uint8)
    place = 2 * number % (width - 12)
    pixels[height // 2 : height // 2 + 12, place : place + 12] = (220, 40, 40)
    for bit in range(BITS):
        pixels[:SIDE, SIDE * bit : SIDE * (bit + 1)] = 230 if number >> bit & 1 else 20
    return Image.fromarray(pixels)


def film(count: int, **size: int) -> list[Image.Image]:
    return [numbered(number, **size) for number in range(count)]


def number_of(frame: Image.Image) -> int:
    pixels = np.asarray(frame.convert("L"))
    squares = (pixels[2 : SIDE - 2, SIDE * bit + 2 : SIDE * (bit + 1) - 2].mean() for bit in range(BITS))
    return sum(1 << bit for bit, level in enumerate(squares) if level > 128)


def numbers(path: Path) -> list[int]:
    """The numbers in the frames of a video, in order of display."""
    return [number_of(frame) for frame in read_frames(path, reader="av").frames]


def write_film(
    path: Path,
    frames: list[Image.Image],
    *,
    ticks: Sequence[int] | None = None,
    unit: Fraction = Fraction(1, 24),
    codec: str = "libx264",
    tone: float = 0.0,
    sound: str = "aac",
    shared: int = 1,
    **options: object,
) -> Path:
    """A film whose frames are shown at `ticks` of `unit` seconds, with `tone` seconds of 440 Hz.

    shared: so many frames following each other get one time stamp.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1 / unit, options={key: str(value) for key, value in options.items()})
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = unit
        heard = container.add_stream(sound, rate=48_000, layout="mono") if tone else None
        for number, image in zip(ticks or itertools.count(), frames, strict=False):
            frame = av.VideoFrame.from_image(image)
            frame.pts, frame.time_base = number, unit
            container.mux(_share(stream.encode(frame), shared))
        container.mux(_share(stream.encode(), shared))
        if heard:
            container.mux(heard.encode(tone_frame(tone)))
            container.mux(heard.encode())
    return path


def _share(packets: list[av.Packet], count: int) -> list[av.Packet]:
    for packet in packets if count > 1 else ():
        packet.pts -= packet.pts % count
        packet.dts -= packet.dts % count
    return packets


def tone_frame(seconds: float, frequency: float = 440, rate: int = 48_000) -> av.AudioFrame:
    wave = np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave[None] / 2, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    return frame


def with_cover(path: Path, *, first: bool, marked: bool) -> Path:
    """A film of 12 frames with a picture as another video stream."""
    codec, pixels = ("mjpeg", "yuvj420p") if path.suffix == ".mkv" else ("png", "rgb24")
    plain = write_film(path.with_name("plain.mp4"), film(12))
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:

        def add_cover() -> av.VideoStream:
            stream = container.add_stream(codec, rate=24)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
            if marked:
                stream.disposition = Disposition.attached_pic
            return stream

        cover = add_cover() if first else None
        moving = container.add_stream_from_template(source.streams.video[0])
        cover = cover or add_cover()
        container.mux(cover.encode(av.VideoFrame.from_image(film(40)[39])))
        container.mux(cover.encode())
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = moving
                container.mux(packet)
    return path


class Painter:
    """A generator whose frame k of 5 is filled with 40 k."""

    record = {"model": "painter"}

    def __init__(self):
        self.calls = 0

    def __call__(self, first, last):
        self.calls += 1
        return [Image.fromarray(np.full((8, 12, 3), 40 * k, np.uint8)) for k in range(5)]
