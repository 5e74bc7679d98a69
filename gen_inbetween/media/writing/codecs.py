"""Video codecs: their encoders, their pixels, and the choice among them.

    codec     encoder       pixels of an 8-bit film, of a deeper one      crf (default, greatest)
    h264      libx264       yuv420p     yuv420p (HDR tone-mapped)         12, 51
    hevc      libx265       yuv420p     yuv420p10le                       14, 51
    av1       libsvtav1     yuv420p     yuv420p10le                       18, 63
    vp9       libvpx-vp9    yuv420p, yuva420p                             15, 63
    prores    prores_ks     yuv422p10le, 4:4:4 where the film is, yuva444p10le      -
    ffv1      ffv1          as the film: lossless                                   -

Hardware encoders are chosen by their own names, and tried before the work.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import av.codec

from gen_inbetween.media.frames.colour import FilmColour, is_rgb, subsampling_of
from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.frames.side_data import Light
from gen_inbetween.media.writing.options import VideoOptions
from gen_inbetween.media.writing.outputs import OUTPUTS, Output, suffix_of

_OTHER_NAMES = {
    "h265": "hevc", "x265": "hevc", "libx265": "hevc", "x264": "h264", "avc": "h264", "libx264": "h264",
    "libvpx-vp9": "vp9", "libsvtav1": "av1", "prores_ks": "prores",
}  # fmt: skip
_HARDWARE = re.compile(r"(h264|hevc|av1|vp9|prores)_(nvenc|qsv|videotoolbox|vaapi|amf|mf|v4l2m2m|mediacodec)")

TELLS_LIGHT = frozenset({"libx265", "libsvtav1"})  # encoders that write the static metadata of HDR10


@dataclass(frozen=True)
class Codec:
    """One codec: who encodes it and how well."""

    encoders: tuple[str, ...]  # of FFmpeg, the best first
    crf: tuple[int, int] | None = None  # the default, and the greatest there is


CODECS: dict[str, Codec] = {
    "h264": Codec(("libx264",), (12, 51)),
    "hevc": Codec(("libx265",), (14, 51)),
    "av1": Codec(("libsvtav1", "libaom-av1", "librav1e"), (18, 63)),
    "vp9": Codec(("libvpx-vp9",), (15, 63)),
    "prores": Codec(("prores_ks",)),
    "ffv1": Codec(("ffv1",)),
    "rawvideo": Codec(("rawvideo",)),
}


@dataclass(frozen=True)
class Encoding:
    """How the frames of one output are encoded; plain values, so that it can be part of a run's identity."""

    codec: str
    encoder: str
    pix_fmt: str
    options: tuple[tuple[str, str], ...]  # of the encoder
    format: str  # the container as FFmpeg names it
    tag: str | None = None  # the codec's four letters, where players go by them
    alpha: bool = False  # whether it keeps transparency
    bits: int = 8

    @property
    def tagged(self) -> bool:
        """Whether the file says its matrix; of others players take the usual one."""
        return not (self.format == "yuv4mpegpipe" or (self.format == "avi" and self.codec == "ffv1"))

    @property
    def keeps_aspect(self) -> bool:
        """Whether the file says that pixels are not square: in MP4's header, or in the pictures of H.264 and HEVC.

        PyAV sets it for the encoder only; the headers of Matroska, WebM, AVI and Y4M come from the stream.
        """
        return self.format in ("mp4", "mov") or self.codec in ("h264", "hevc")

    def loss(self, colour: FilmColour) -> str | None:
        """What of a film's depth and chroma is not kept, in words."""
        chroma = chroma_of(self.pix_fmt)
        kept = colour.chroma not in ("422", "444") or chroma in (colour.chroma, "444", "rgb")
        if kept and self.bits >= (10 if self.codec == "prores" else colour.bits):  # whose 12 bits no encoder has
            return None
        return f"{_words(colour.bits, colour.chroma)} is written as {_words(self.bits, chroma)}"


def choose_encoding(path: str | os.PathLike[str], options: VideoOptions, colour: FilmColour) -> Encoding:
    """The encoding of a video (or pipe) at `path` for frames of this colour.

    Raises:
        VideoError: no such codec; one the container does not hold, or that this PyAV cannot encode; a crf, or a pixel
            format, that it does not have.
    """
    path = Path(path)
    output = OUTPUTS[suffix_of(path)]
    alpha = colour.alpha and options.background is None
    codec, encoder = _codec(path, output, options, colour, alpha)
    formats = _formats(encoder)
    pix_fmt = _asked(options.pix_fmt, formats, encoder) if options.pix_fmt else _usual(codec, formats, colour, alpha)
    layout = av.VideoFormat(pix_fmt, 16, 16)
    bits = max(part.bits for part in layout.components)
    has_alpha = any(part.is_alpha for part in layout.components) and pix_fmt not in ("bgr0", "rgb0")
    said = _encoder_options(codec, encoder, pix_fmt, options.crf, output.format)
    encoding = Encoding(
        codec,
        encoder,
        pix_fmt,
        tuple(_with_light(encoder, said, colour.light if bits > 8 else None).items()),
        output.format,
        "hvc1" if codec == "hevc" and output.format in ("mp4", "mov") else None,
        has_alpha,
        bits,
    )
    if _HARDWARE.fullmatch(encoder):
        _try_hardware(encoding)
    return encoding


def piece_encoding(encoding: Encoding | None, alpha: bool, bits: int) -> Encoding:
    """How the pieces of an output are encoded: as the whole of a video, without any loss where it is no video.

    The container counts in frames wherever it can, so that pieces can be joined to the frame.
    """
    if encoding is None:
        pix_fmt = _lossless(FilmColour(bits=bits, chroma="rgb"), alpha)
        options = tuple(_encoder_options("ffv1", "ffv1", pix_fmt, None, "matroska").items())
        return Encoding("ffv1", "ffv1", pix_fmt, options, "matroska", None, alpha, 16 if bits > 8 else 8)
    if encoding.format == "matroska" and encoding.codec in ("h264", "hevc", "av1"):
        return replace(encoding, format="mp4")
    return encoding


def hardware_encoders() -> list[str]:
    """The hardware encoders that this PyAV was built with; whether they open depends on the machine."""
    return sorted(name for name in av.codecs_available if _HARDWARE.fullmatch(name) and _can_encode(name))


def chroma_of(pix_fmt: str) -> str:
    """4:2:0 and so on, as `FilmColour.chroma` has it."""
    if is_rgb(pix_fmt):
        return "rgb"
    if pix_fmt.startswith("gray"):
        return "gray"
    return subsampling_of(av.VideoFormat(pix_fmt, 16, 16))


def _words(bits: int, chroma: str) -> str:
    shown = ":".join(chroma) if chroma.isdecimal() else {"rgb": "RGB"}.get(chroma, chroma)
    return f"{bits}-bit {shown}"


def _codec(path: Path, output: Output, options: VideoOptions, colour: FilmColour, alpha: bool) -> tuple[str, str]:
    """(codec, encoder) asked for, or else the usual one of the container, one of more than 8 bits for HDR.

    The first of the container's codecs that has the pixel format asked for, where the usual one has not.
    """
    asked = options.codec
    if asked is None:
        usual = output.alpha if alpha and output.alpha else output.codecs[0]
        if colour.hdr and usual in ("h264", "vp9"):
            usual = next((codec for codec in ("hevc", "av1") if codec in output.codecs and _encoder(codec)), usual)
        having = (codec for codec in (usual, *output.codecs) if _has(codec, options.pix_fmt))
        asked = next(having, usual) if options.pix_fmt else usual
    asked = _OTHER_NAMES.get(asked.lower(), asked.lower())
    codec = asked.split("_")[0] if _HARDWARE.fullmatch(asked) else asked
    if codec not in CODECS or (codec == "rawvideo") != (output.kind == "pipe"):
        words = [*(name for name in CODECS if name != "rawvideo"), *hardware_encoders()]
        if output.kind == "pipe":
            raise VideoError(f"{path} holds raw pictures: no codec can be chosen for it")
        raise VideoError(f"codec is one of {', '.join(words)}; got {asked!r}")
    if codec not in output.codecs:
        others = [suffix for suffix, other in OUTPUTS.items() if codec in other.codecs]
        raise VideoError(
            f"{output.format} ({path.name}) holds {' or '.join(output.codecs)}, not {codec}: "
            f"write {' or '.join(others)} for it"
        )
    encoder = asked if asked != codec and _can_encode(asked) else _encoder(codec) if asked == codec else None
    if encoder is None:
        raise VideoError(
            f"this PyAV has no encoder for {asked} ({', '.join(CODECS[codec].encoders)}): install PyAV's own wheel, or "
            "choose another codec"
        )
    return codec, encoder


def _encoder(codec: str) -> str | None:
    return next((name for name in CODECS[codec].encoders if _can_encode(name)), None)


def _can_encode(name: str) -> bool:
    try:
        return name in av.codecs_available and av.codec.Codec(name, "w").is_encoder
    except ValueError:
        return False


def _formats(encoder: str) -> list[str]:
    formats = [layout.name for layout in av.codec.Codec(encoder, "w").video_formats or ()]
    return formats or ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray", "nv12"]


def _has(codec: str, pix_fmt: str | None) -> bool:
    encoder = _encoder(codec)
    return encoder is not None and pix_fmt is not None and _spelled(pix_fmt, _formats(encoder)) is not None


def _spelled(name: str, formats: list[str]) -> str | None:
    """A pixel format as FFmpeg spells it, which says the order of bytes."""
    return next((one for one in (name, f"{name}le", f"{name}be") if one in formats), None)


def _asked(name: str, formats: list[str], encoder: str) -> str:
    found = _spelled(name, formats)
    if found is None:
        raise VideoError(f"{encoder} has no pixel format {name!r}; it has {', '.join(formats)}")
    return found


def _usual(codec: str, formats: list[str], colour: FilmColour, alpha: bool) -> str:
    """The pixel format taken where none is asked for."""
    deep, full = colour.bits > 8, colour.chroma in ("444", "rgb")
    ten = ("yuv420p10le", "p010le")
    if codec == "prores":
        wanted = ["yuva444p10le"] if alpha else ["yuv444p10le"] if full else ["yuv422p10le"]
    elif codec == "ffv1":
        wanted = [_lossless(colour, alpha)]
    elif codec == "vp9":
        wanted = ["yuva420p"] if alpha else list(ten) if colour.hdr or deep else []
    elif codec in ("hevc", "av1"):
        wanted = list(ten) if deep else []
    elif codec == "rawvideo":
        chroma = "420" if colour.chroma in ("rgb", "gray") else colour.chroma
        wanted = [f"yuv{chroma}p10le" if deep else f"yuv{chroma}p"]
    else:
        wanted = []  # H.264 is for players, which hardly have it with 10 bits: HDR is tone-mapped
    return next(name for name in (*wanted, "yuv420p", "nv12", *formats) if name in formats)


def _lossless(colour: FilmColour, alpha: bool) -> str:
    if colour.chroma in ("rgb", "gray"):
        return ("gbrap16le" if alpha else "gbrp16le") if colour.bits > 8 else ("bgra" if alpha else "bgr0")
    chroma = colour.chroma if colour.chroma in ("420", "422", "444") else "444"
    depth = next((f"{bits}le" for bits in (10, 12, 16) if 8 < colour.bits <= bits), "")
    return f"yuv{'a' * alpha}{chroma}p{depth}"


def _encoder_options(codec: str, encoder: str, pix_fmt: str, crf: int | None, format: str) -> dict[str, str]:
    """What an encoder is told, so that equal frames give equal bytes where that can be had."""
    limits = CODECS[codec].crf
    if limits is None:
        if crf is not None:
            why = "raw" if codec == "rawvideo" else "lossless" if codec == "ffv1" else "of one quality"
            raise VideoError(f"{codec} is {why}: leave crf alone")
        if codec == "prores":
            return {"profile": "4" if "444" in pix_fmt else "3", "vendor": "apl0"}
        return {"level": "3", "g": "1", "slicecrc": "1"} if codec == "ffv1" else {}
    default, greatest = limits
    if crf is not None and crf > greatest:
        raise VideoError(f"crf of {codec} is 0 (best, largest) to {greatest}; got {crf}")
    quality = default if crf is None else crf
    if _HARDWARE.fullmatch(encoder):
        return _hardware_options(encoder, quality, greatest)
    alpha = any(part.is_alpha for part in av.VideoFormat(pix_fmt, 16, 16).components)
    return {
        # One thread, because the bytes x264 makes depend on their number; no macroblock tree (x265's: cutree), because
        # with AVX-512 it reads past the end of rows, and the bytes depend on what lies there. x265 writes there, too:
        # it broke the memory of the program at pictures of less than a block, 64 pixels.
        "libx264": {"crf": str(quality), "threads": "1", "mbtree": "0"}
        | ({"bf": "0"} if format == "avi" else {}),  # AVI numbers frames as they are stored
        # No frames between others, because of clips shorter than they need x265 makes up the times of decoding.
        "libx265": {"crf": str(quality), "x265-params": "log-level=error:frame-threads=1:bframes=0:no-cutree=1"},
        "libsvtav1": {"crf": str(quality), "preset": "6", "svtav1-params": "lp=1"},
        "libaom-av1": {"crf": str(quality), "b": "0", "cpu-used": "6", "threads": "1"},
        "librav1e": {"qp": str(4 * quality), "speed": "6", "tiles": "1"},
        "libvpx-vp9": {"crf": str(quality), "b": "0", "deadline": "good", "cpu-used": "3", "threads": "1"}
        | ({"auto-alt-ref": "0"} if alpha else {}),
    }[encoder]


def _with_light(encoder: str, options: dict[str, str], light: Light | None) -> dict[str, str]:
    """The options of an encoder, and the light of HDR10 where it can be told of it."""
    if light is None or encoder not in TELLS_LIGHT:
        return options
    key, said = ("x265-params", light.x265()) if encoder == "libx265" else ("svtav1-params", light.svt())
    return options | {key: f"{options[key]}:{said}"}


def _hardware_options(encoder: str, quality: int, greatest: int) -> dict[str, str]:
    """The crf as each maker calls it."""
    share = str(round(100 - 100 * quality / greatest))  # of the best quality
    return {
        "nvenc": {"rc": "vbr", "cq": str(max(1, quality)), "b": "0"},
        "qsv": {"global_quality": str(max(1, quality))},
        "amf": {"rc": "cqp", "qp_i": str(quality), "qp_p": str(quality)},
        "videotoolbox": {"flags": "+qscale", "global_quality": str(118 * int(share))},  # 118: FFmpeg's unit
        "mf": {"rate_control": "quality", "quality": share},
    }.get(encoder.rpartition("_")[2], {"b": "20M"})


def _try_hardware(encoding: Encoding) -> None:
    """Encode a grey picture. VideoError: the encoder does not open on this machine."""
    try:
        with av.open(io.BytesIO(), "w", format="matroska") as container:
            stream: Any = container.add_stream(encoding.encoder, rate=24, options=dict(encoding.options))
            stream.width, stream.height, stream.pix_fmt = 256, 256, encoding.pix_fmt
            frame = av.VideoFrame(256, 256, "gray").reformat(format=encoding.pix_fmt)
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except (av.FFmpegError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(
            f"{encoding.encoder} is in this PyAV but does not open on this machine ({reason}): its driver or device is "
            f"missing; codec {encoding.codec} encodes by software"
        ) from error
