"""Writing of frames: a video, an animation, a folder, a pipe.

What an output's name means is in `writing.outputs`, what its codec does in `writing.codecs`. Files appear whole or not
at all, and the same frames give the same bytes.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gen_inbetween.media.frames.colour import SDR, FilmColour
from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.frames.screen import (
    WHITE,
    Colour,
    Pixels,
    image_of,
    is_opaque,
    over,
    spread_colours,
    square_pixels,
    tone_mapped,
    with_alpha,
)
from gen_inbetween.media.image import Frame, array_of
from gen_inbetween.media.times.rates import exact_rate
from gen_inbetween.media.writing.animations import save_animation
from gen_inbetween.media.writing.codecs import TELLS_LIGHT, Encoding, choose_encoding
from gen_inbetween.media.writing.options import PLAIN, VideoOptions
from gen_inbetween.media.writing.outputs import OUTPUTS, STDOUT, Output, check_suffix, numbered, pattern_of, suffix_of
from gen_inbetween.media.writing.pictures import save_picture
from gen_inbetween.media.writing.streams import encode_frames
from gen_inbetween.runtime.files import OutputError, check_writable, file_url, replace_folder, replaced
from gen_inbetween.runtime.messages import warn_once
from gen_inbetween.runtime.outputs import Manifest, check_output, embed

if TYPE_CHECKING:
    from gen_inbetween.media.tracks.tracks import Tracks

log = logging.getLogger("gen_inbetween")

_OWN_FILE = re.compile(r"frame_\d{5,}\.png|(manifest|inbetween)\.json")
_DEEP_PIXELS = re.compile(r"(rgb48|rgba64)(le|be)?")


@dataclass(frozen=True)
class Plan:
    """How the frames of one output are written, decided before the work."""

    path: Path  # the file, the folder, or "-"
    output: Output
    encoding: Encoding | None  # of a video or a pipe
    pattern: str  # of the files' names, of a folder
    deep: bool  # 16 bits in a PNG
    rate: Fraction
    quality: int  # of a WebP
    colour: FilmColour  # of the frames
    sample_aspect: Fraction | None
    ground: Colour | None  # what transparent frames are put over, where that was asked for
    starts: Sequence[float] | None = None  # seconds at which frames begin and the last one ends; None: at the rate
    plays: int = 0  # of an animation: how many times; 0: without end
    tracks: Tracks | None = None  # what goes along, unless pieces are joined with it later

    @property
    def keeps_alpha(self) -> bool:
        """Whether transparency goes into the output."""
        if not self.colour.alpha or self.ground is not None:
            return False
        return self.encoding.alpha if self.encoding else self.output.alpha is not None

    @property
    def tone_maps(self) -> bool:
        """Whether HDR becomes SDR, because the output has too few bits for it, or cannot say that it is HDR."""
        return self.colour.hdr and self.encoding is not None and not (self.encoding.bits > 8 and self.encoding.tagged)

    @property
    def written_colour(self) -> FilmColour:
        """The colour of the frames once they are `prepared`."""
        return self.colour.tone_mapped() if self.tone_maps else self.colour

    @property
    def resamples(self) -> bool:
        """Whether an encoded film gets square pixels, because its file could not say that they are not."""
        return self.encoding is not None and self.sample_aspect is not None and not self.encoding.keeps_aspect

    @property
    def written_aspect(self) -> Fraction | None:
        """The width : height of a pixel of the frames once they are `prepared` for an encoder; None: square."""
        return None if self.resamples else self.sample_aspect

    def announce(self) -> None:
        """Say what of a film's depth and shape is not kept, and how one that is HDR is."""
        if self.resamples:
            log.info("%s: pixels that are not square become square, which this output holds", self.path.name)
        light = self.output.kind == "folder" and self.pattern.lower().endswith(".exr")
        if self.tone_maps or (self.colour.hdr and self.encoding is None and not light):
            log.info("%s: HDR is tone-mapped to SDR (BT.709), which this output holds", self.path.name)
        if self.encoding is None:
            deep = self.deep or (self.output.deep and not self.pattern.lower().endswith(".png"))
            if self.colour.bits > 8 and not deep:
                remedy = "; the pixel format rgb48 (pix_fmt) keeps them" if self.output.deep else ""
                log.info("%s: %d bits are written as 8%s", self.path.name, self.colour.bits, remedy)
            return
        if self.colour.hdr and not self.tone_maps:
            log.info("%s: HDR is kept, in %d bits (%s)", self.path.name, self.encoding.bits, self.encoding.codec)
            if self.colour.light and self.encoding.encoder not in TELLS_LIGHT:
                log.info("%s: what HDR10 says of its display and light levels is left out", self.path.name)
        elif loss := self.encoding.loss(self.colour):
            log.info("%s: %s; a codec or a pixel format with more (pix_fmt) keeps it", self.path.name, loss)

    def write(self, frames: Iterator[Pixels], to: Any) -> None:
        """Write the frames, at least one, to the path (or, into a pipe, the open file) `to`."""
        frames = self.prepared(frames)
        if self.encoding is not None:
            file = file_url(to) if isinstance(to, Path) else to
            starts = self.starts if self.output.varies else None
            look = self.written_colour, self.written_aspect
            encode_frames(frames, file, self.rate, self.encoding, *look, starts=starts, tracks=self.tracks)
        elif self.output.kind == "animation":
            images = [image_of(pixels, self.colour, self.sample_aspect, None) for pixels in frames]
            starts = self.starts or [number / float(self.rate) for number in range(len(images) + 1)]
            save_animation(images, to, self.output.format, starts, self.quality, self.plays)
        else:
            to.mkdir()
            for index, pixels in enumerate(frames):
                save_picture(
                    pixels,
                    to / numbered(self.pattern, index),
                    deep=self.deep,
                    colour=self.colour,
                    sample_aspect=self.sample_aspect,
                )

    @property
    def mixes_colours(self) -> bool:
        """Whether the output stores colour so coarsely that hidden pixels show through at a rim."""
        return self.output.format == "webp" or (self.encoding is not None and self.encoding.codec in ("vp9", "prores"))

    def prepared(self, frames: Iterator[Pixels]) -> Iterator[Pixels]:
        """The frames as the output can hold them: over the background where it holds no transparency, which is said."""
        for pixels in frames:
            if self.tone_maps:
                pixels = tone_mapped(pixels, self.colour)
            if self.resamples:
                pixels = square_pixels(pixels, self.sample_aspect)
            if self.keeps_alpha:
                yield spread_colours(with_alpha(pixels)) if self.mixes_colours else with_alpha(pixels)
                continue
            if self.ground is None and not is_opaque(pixels):
                warn_once(
                    f"{self.path.name} holds no transparency: the frames are put over white; background says another "
                    "colour, and .mov, .webm, .webp, .gif, .apng and folders keep it"
                )
            yield over(pixels, self.ground or WHITE)


def plan_output(
    path: str | os.PathLike[str],
    fps: float | Fraction,
    *,
    options: VideoOptions = PLAIN,
    colour: FilmColour = SDR,
    sample_aspect: Fraction | None = None,
    quality: int = 90,
) -> Plan:
    """Decide how frames of this colour are written at `path`.

    Raises:
        VideoError: fps outside 0.1..1000, options the output has no use for; and what `check_video_output` finds.
        OutputError: as there.
    """
    if not isinstance(options, VideoOptions):
        raise VideoError(f"expected VideoOptions (codec, crf, pix_fmt, background), got {options!r}")
    check_video_output(path)
    rate = exact_rate(fps)
    output = OUTPUTS[suffix_of(path)]
    path, pattern = pattern_of(path)
    encoding, deep = None, False
    if output.kind in ("video", "pipe"):
        encoding = choose_encoding(path, options, colour)
    else:
        deep = _check_still_options(path, output, pattern, options, colour)
    return Plan(path, output, encoding, pattern, deep, rate, quality, colour, sample_aspect, options.ground)


def _check_still_options(path: Path, output: Output, pattern: str, options: VideoOptions, colour: FilmColour) -> bool:
    """Whether PNG files of 16 bits are asked for. VideoError: options that only videos have."""
    said = {"codec": options.codec, "crf": options.crf}
    if wrong := [name for name, value in said.items() if value is not None]:
        raise VideoError(f"{' and '.join(wrong)}: for videos only; {path.name} is {_described(output)}")
    if options.pix_fmt is None:
        return colour.chroma == "rgb" and colour.bits > 8  # as pictures of 16 bits came in
    if output.kind != "folder" or not pattern.lower().endswith(".png"):
        raise VideoError(f"pix_fmt: for videos and folders of PNG; {path.name} is {_described(output)}")
    if options.pix_fmt in ("rgb24", "rgba"):
        return False
    if not _DEEP_PIXELS.fullmatch(options.pix_fmt):
        raise VideoError(f"PNG files have the pixels rgb24, rgba, rgb48 or rgba64; got {options.pix_fmt!r}")
    return True


def _described(output: Output) -> str:
    return "a folder of pictures" if output.kind == "folder" else f"an animation ({output.format})"


def check_video_output(path: str | os.PathLike[str]) -> None:
    """Find out before the work whether `write_video` could write there.

    Raises:
        VideoError: an ending that is no output's, or one whose codec this PyAV lacks; the folder holds other things
            than frames written earlier.
        OutputError: no permission, or a file stands where a folder is needed.
    """
    path = Path(path)
    if str(path) == STDOUT:
        return
    check_writable(path)
    if path.is_dir():
        if path.suffix.lower() in OUTPUTS and path.suffix:
            raise VideoError(f"{path} is a folder; expected the name of a {path.suffix.lower()} file")
        _check_own(path, _OWN_FILE)
        return
    check_suffix(path)
    folder, pattern = pattern_of(path)
    if suffix_of(path):
        if OUTPUTS[suffix_of(path)].kind == "video":
            choose_encoding(path, PLAIN, SDR)
        return
    if folder == path and path.exists():
        raise VideoError(f"{path} is a file; expected a folder for the frames, or a name ending in .mp4, .gif or .webp")
    if folder != path:
        _check_pattern(path, folder, pattern)


def _check_pattern(path: Path, folder: Path, pattern: str) -> None:
    if folder.resolve() == Path.cwd():
        raise VideoError(f"{path}: the frames need a folder of their own, as in frames/{path.name}")
    if not folder.is_dir():
        if folder.exists():
            raise VideoError(f"{folder} is a file; expected a folder for the frames")
        return
    before, _, after = (re.escape(part) for part in re.split(r"(%(?:0\d+)?d)", pattern, maxsplit=1))
    _check_own(folder, re.compile(rf"{before}\d+{after}|(manifest|inbetween)\.json"))


def _check_own(folder: Path, own: re.Pattern[str]) -> None:
    foreign = next((file.name for file in folder.iterdir() if not own.fullmatch(file.name)), None)
    if foreign is not None:
        raise VideoError(f"{folder} holds other files ({foreign}); name an empty or a fresh folder for the frames")


def write_video(
    frames: Iterable[Frame],
    path: str | os.PathLike[str],
    fps: float,
    *,
    options: VideoOptions = PLAIN,
    crf: int | None = None,
    quality: int = 90,
    colour: FilmColour = SDR,
    sample_aspect: Fraction | None = None,
    manifest: Manifest = None,
    overwrite: bool = False,
    starts: Sequence[float] | None = None,
    plays: int = 0,
    tracks: Tracks | None = None,
) -> Path:
    """Write frames as a video, an animation or a folder.

    Args:
        frames: images of one size, whatever `load_image` opens, also as a stream (only animations keep them).
        path: .mp4 (H.264, yuv420p, BT.709, plays everywhere), .mov, .mkv, .webm, .avi; .gif, .webp, .apng; without
            extension a folder of frame_00000.png, ... (a folder written so before is replaced, any other that holds
            files is refused); folder/f_%04d.png, .tif or .exr; "-" for standard output, as y4m.
        fps: frames a second. GIF counts hundredths of a second: frame times are rounded so that no error adds up.
        options: codec, crf, pixel format and background.
        crf: short for the one of the options.
        quality: WebP's quality, 0 to 100 (largest).
        colour: of the frames, if they are a film's; it is written with the tags of this colour where a file has any.
        starts: of frames at a varying rate, the seconds at which each begins and the last one ends; `fps` is their
            mean. .avi, pipes and folders know no such times: there they follow each other evenly, with a notice.
        plays: of an animation, how many times; 0: without end.
        tracks: sound and all else of a film that goes along (`plan_tracks`).
        sample_aspect: width : height of a pixel, if it is not square. Videos say it; animations and folders are
            resampled to square pixels.
        manifest: how the frames were made, kept inside of the file or folder; or a function that tells it at the end.
        overwrite: replace a file or folder that was not written by this package, too.

    Chroma is stored for two pixels at a time in most formats: an odd side gets its last column or row once more. Equal
    neighbours in animations are stored once and shown longer, so such files hold fewer frames and last as long; an
    animation of nothing but equal frames is a still picture.

    Returns:
        The path.

    Raises:
        VideoError: no frames, frames of different sizes, and what `plan_output` finds.
        OutputError: the file cannot be written, for example on a full disk. Nothing is left half-written.
    """
    options = options if crf is None else replace(options, crf=crf)
    more: dict[str, Any] = {"options": options, "sample_aspect": sample_aspect, "quality": quality}
    if colour is SDR:  # pictures, not a film's frames
        colour = replace(SDR, chroma="rgb")
    plan = plan_output(path, fps, colour=colour, **more)
    check_output(plan.path, overwrite=overwrite, manifest=False)
    arrays = same_size(frames)
    first = next(arrays, None)
    if first is None:
        raise VideoError(f"no frames to write to {path}; a video needs at least one")
    if first.shape[2] == 4 and not colour.alpha:
        plan = plan_output(path, fps, colour=replace(colour, alpha=True), **more)
    if starts is not None and not plan.output.varies:
        log.info("%s knows no varying rate: its frames follow each other at %.6g fps", plan.path.name, float(plan.rate))
    write_planned(itertools.chain([first], arrays), replace(plan, starts=starts, plays=plays, tracks=tracks), manifest)
    return Path(path)


def write_planned(frames: Iterator[Pixels], plan: Plan, manifest: Manifest = None) -> None:
    """Write frames as planned, whole or not at all. OutputError: they cannot be written."""
    if plan.output.kind == "pipe" and str(plan.path) == STDOUT:
        try:
            plan.write(frames, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise OutputError("the program that reads standard output ended before the film did") from error
        return
    with replaced(plan.path, replace_folder if plan.output.kind == "folder" else os.replace) as temporary:
        plan.write(frames, temporary)
        embed(manifest, temporary)


def same_size(frames: Iterable[Frame]) -> Iterator[Pixels]:
    """Each frame as an array. VideoError: one of another size."""
    shape: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        pixels = array_of(frame)
        shape = shape or pixels.shape
        if pixels.shape[:2] != shape[:2]:
            sizes = (shape[1], shape[0]), (pixels.shape[1], pixels.shape[0])
            raise VideoError(f"all frames of a video have one size; frame 0 is {sizes[0]}, frame {index} is {sizes[1]}")
        yield pixels
