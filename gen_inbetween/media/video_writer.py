"""Writing frames as MP4, GIF, WebP or a folder of PNG files.

Files appear whole or not at all, and the same frames give the same bytes.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from gen_inbetween.media.frames.colour import SDR, FilmColour, write_tags
from gen_inbetween.media.frames.conversion import av_frame, padded
from gen_inbetween.media.frames.screen import WHITE, Colour, Pixels, image_of, is_opaque, over
from gen_inbetween.media.image import Frame, array_of
from gen_inbetween.media.source import VideoError
from gen_inbetween.runtime.files import check_writable, file_url, replace_folder, replaced

log = logging.getLogger("gen_inbetween")

_OWN_FILE = re.compile(r"frame_\d{5,}\.png|manifest\.json")


def check_video_output(path: str | os.PathLike[str]) -> None:
    """Find out before the work whether `write_video` could write there.

    Raises:
        VideoError: the extension is neither .mp4, .gif, .webp nor none (a folder of PNG files); the folder holds other
            things than frames written earlier; PyAV lacks H.264.
        OutputError: no permission, or a file stands where a folder is needed.
    """
    check_writable(path)
    path = Path(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        foreign = next((file.name for file in path.iterdir() if not _OWN_FILE.fullmatch(file.name)), None)
        if suffix in _WRITERS and suffix:
            raise VideoError(f"{path} is a folder; expected the name of a {suffix} file")
        if foreign is not None:
            raise VideoError(f"{path} holds other files ({foreign}); name an empty or a fresh folder for the frames")
    elif suffix not in _WRITERS:
        raise VideoError(f"cannot write {path}: expected .mp4, .gif, .webp, or no extension for a folder of PNG files")
    elif not suffix and path.exists():
        raise VideoError(f"{path} is a file; expected a folder for the frames, or a name ending in .mp4, .gif or .webp")
    if suffix == ".mp4" and "libx264" not in av.codecs_available:
        raise VideoError("this PyAV has no H.264 encoder (libx264): install PyAV's own wheel, or write .webp or .gif")


@dataclass(frozen=True)
class _How:
    """What a writer is told beside the frames and the path: see `write_video`."""

    fps: float
    crf: int
    quality: int
    colour: FilmColour
    sample_aspect: Fraction | None
    background: Colour


def write_video(
    frames: Iterable[Frame],
    path: str | os.PathLike[str],
    fps: float,
    *,
    crf: int = 12,
    quality: int = 90,
    colour: FilmColour = SDR,
    sample_aspect: Fraction | None = None,
    background: Colour = WHITE,
) -> Path:
    """Write frames as a video, an endless animation or a folder.

    Args:
        frames: images of one size, whatever `load_image` opens, also as a stream (MP4 and folders keep none).
        path: .mp4 (H.264, yuv420p, BT.709, plays everywhere), .gif, .webp, or without extension a folder of
            frame_00000.png, ... (a folder written so before is replaced, any other that holds files is refused).
        fps: frames a second. GIF counts hundredths of a second: frame times are rounded so that no error adds up.
        crf: H.264's constant rate factor, 0 (largest) to 51; 12 is nearly lossless.
        quality: WebP's quality, 0 to 100 (largest).
        colour: of the frames, if they are a film's; it is written with the tags of this colour where a file has any.
        sample_aspect: width : height of a pixel, if it is not square. Videos say it; animations and folders are
            resampled to square pixels.
        background: RGB in 0..255 behind what is transparent, where the file cannot hold transparency.

    H.264 in yuv420p needs even sides: an odd one gets its last column or row once more. Equal neighbours in GIF and
    WebP are stored once and shown longer, so such files hold fewer frames and last as long; a WebP of nothing but equal
    frames is a still picture.

    Returns:
        The path.

    Raises:
        VideoError: no frames, frames of different sizes, fps outside 0.1..1000, and what `check_video_output` finds.
        OutputError: the file cannot be written, for example on a full disk. Nothing is left half-written.
    """
    path = Path(path)
    check_video_output(path)
    if not 0.1 <= fps <= 1000:
        raise VideoError(f"fps is between 0.1 and 1000 frames a second; got {fps}")
    arrays = _same_size(frames)
    first = next(arrays, None)
    if first is None:
        raise VideoError(f"no frames to write to {path}; a video needs at least one")
    suffix = "" if path.is_dir() else path.suffix.lower()
    how = _How(fps, crf, quality, colour, sample_aspect, background)
    with replaced(path, replace_folder if not suffix else os.replace) as temporary:
        _WRITERS[suffix](itertools.chain([first], arrays), temporary, how)
    return path


def _same_size(frames: Iterable[Frame]) -> Iterator[Pixels]:
    shape: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        pixels = array_of(frame)
        shape = shape or pixels.shape
        if pixels.shape[:2] != shape[:2]:
            sizes = (shape[1], shape[0]), (pixels.shape[1], pixels.shape[0])
            raise VideoError(f"all frames of a video have one size; frame 0 is {sizes[0]}, frame {index} is {sizes[1]}")
        yield pixels


def _flattened(frames: Iterator[Pixels], path: Path, background: Colour) -> Iterator[Pixels]:
    """The frames over the background, with a notice where that shows."""
    said = False
    for pixels in frames:
        if not said and not is_opaque(pixels):
            log.info("%s holds no transparency: the frames are put over the colour %s", path.name, background)
            said = True
        yield over(pixels, background)


def _images(frames: Iterator[Pixels], path: Path, how: _How) -> list[Image.Image]:
    flat = _flattened(frames, path, how.background)
    return [image_of(pixels, how.colour, how.sample_aspect) for pixels in flat]


def _write_mp4(frames: Iterator[Pixels], path: Path, how: _How) -> None:
    rate = Fraction(how.fps).limit_denominator(1001)  # 29.97 means 30000/1001
    with av.open(file_url(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        # One thread, because the bytes x264 makes depend on their number; no macroblock tree, because with AVX-512 it
        # reads past the end of rows, and the bytes depend on what lies there.
        options = {"crf": str(how.crf), "threads": "1", "mbtree": "0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.pix_fmt = pix_fmt = "yuv420p"
        write_tags(stream.codec_context, how.colour, pix_fmt)
        if how.sample_aspect is not None:
            stream.codec_context.sample_aspect_ratio = how.sample_aspect
        for index, pixels in enumerate(_flattened(frames, path, how.background)):
            whole = padded(pixels, pix_fmt)
            if index == 0:
                stream.height, stream.width = whole.shape[:2]
            frame = av_frame(whole, how.colour, pix_fmt)
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_gif(frames: Iterator[Pixels], path: Path, how: _How) -> None:
    images, fps = _images(frames, path, how), how.fps
    durations = _durations(len(images), fps, unit=10)
    if min(durations) < 20:
        log.warning("GIF players slow down above 50 fps; %s is written with 50 fps instead of %g", path.name, fps)
        durations = [max(20, duration) for duration in durations]
    palette = _shared_palette(images)  # one for all frames: with one each, still parts would flicker
    indexed = [image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for image in images]
    indexed[0].save(path, "GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0, disposal=1)


def _shared_palette(images: list[Image.Image], samples: int = 16) -> Image.Image:
    chosen = images[:: max(1, len(images) // samples)]
    strip = Image.new("RGB", (chosen[0].width, chosen[0].height * len(chosen)))
    for row, image in enumerate(chosen):
        strip.paste(image, (0, row * image.height))
    return strip.quantize(256, method=Image.Quantize.MEDIANCUT)


def _write_webp(frames: Iterator[Pixels], path: Path, how: _How) -> None:
    first, *others = _images(frames, path, how)
    durations = _durations(1 + len(others), how.fps, unit=1)
    first.save(path, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=how.quality)


def _durations(num_frames: int, fps: float, unit: int) -> list[int]:
    """How long each frame shows, in ms: each starts at the multiple of `unit` ms that is nearest to its time."""
    starts = [round(1000 * index / fps / unit) * unit for index in range(num_frames + 1)]
    return [max(unit, after - before) for before, after in itertools.pairwise(starts)]


def _write_folder(frames: Iterator[Pixels], path: Path, how: _How) -> None:
    path.mkdir()
    for index, pixels in enumerate(_flattened(frames, path, how.background)):
        image_of(pixels, how.colour, how.sample_aspect).save(path / f"frame_{index:05d}.png")


_WRITERS = {".mp4": _write_mp4, ".gif": _write_gif, ".webp": _write_webp, "": _write_folder}
