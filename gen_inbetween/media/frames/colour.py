"""Colour of a film as its tags say it, in FFmpeg's names.

Y'CbCr is taken for what the tags say. Where they say nothing, players take BT.709 for high definition and BT.601
below (mpv's rule: from 1280 pixels of width on, or above 576 of height), limited range, and so do we.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gen_inbetween.media.frames.side_data import Light

# H.273, as FFmpeg numbers and names them
MATRICES = {
    "gbr": 0, "bt709": 1, "fcc": 4, "bt470bg": 5, "smpte170m": 6, "smpte240m": 7, "ycgco": 8, "bt2020nc": 9,
    "bt2020c": 10, "smpte2085": 11, "chroma-derived-nc": 12, "chroma-derived-c": 13, "ictcp": 14,
}  # fmt: skip
PRIMARIES = {
    "unknown": 2, "bt709": 1, "bt470m": 4, "bt470bg": 5, "smpte170m": 6, "smpte240m": 7, "film": 8, "bt2020": 9,
    "smpte428": 10, "smpte431": 11, "smpte432": 12, "ebu3213": 22,
}  # fmt: skip
TRANSFERS = {
    "unknown": 2, "bt709": 1, "gamma22": 4, "gamma28": 5, "smpte170m": 6, "smpte240m": 7, "linear": 8, "log100": 9,
    "log316": 10, "iec61966-2-4": 11, "bt1361e": 12, "iec61966-2-1": 13, "bt2020-10": 14, "bt2020-12": 15,
    "smpte2084": 16, "smpte428": 17, "arib-std-b67": 18,
}  # fmt: skip
RANGES = {"tv": 1, "pc": 2}

_CONVERTIBLE = frozenset({"bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "bt2020nc"})  # by FFmpeg's swscale
_SD = (1280, 576)  # pixels: from that width on, or above that height, an unsaid matrix is BT.709
_PAL_LINES = frozenset({288, 576})
_HDR = frozenset({"smpte2084", "arib-std-b67"})


@dataclass(frozen=True)
class FilmColour:
    """What the numbers of a film's frames mean, and how finely they were stored.

    The frames themselves are R'G'B'[A] arrays in these primaries and this transfer curve; matrix and range are those
    the film is stored with, and is to be stored with again.
    """

    matrix: str = "bt709"
    primaries: str = "bt709"
    transfer: str = "bt709"
    range: str = "tv"
    bits: int = 8  # of each stored value
    chroma: str = "420"  # how it was stored: 410, 411, 420, 422, 440, 444, rgb or gray
    alpha: bool = False
    light: Light | None = None  # of HDR10

    @property
    def hdr(self) -> bool:
        """Whether the transfer curve is PQ (HDR10) or HLG."""
        return self.transfer in _HDR

    def tone_mapped(self) -> FilmColour:
        """This colour after `screen.tone_mapped`: BT.709, where it is HDR."""
        if not self.hdr:
            return self
        return replace(self, matrix="bt709", primaries="bt709", transfer="bt709", light=None)


SDR = FilmColour()  # of frames that nobody says anything of, such as PIL images


def colour_of(frame: Any) -> FilmColour:
    """The colour of a decoded PyAV frame by its tags; what they leave out is as players take it."""
    colour_format = frame.format
    components = [part for part in colour_format.components if not part.is_alpha]
    bits = max((part.bits for part in components), default=8)
    alpha = len(components) < len(colour_format.components)
    primaries = _name(PRIMARIES, frame.color_primaries, "unknown")
    transfer = _name(TRANSFERS, frame.color_trc, "unknown")
    if colour_format.is_rgb or colour_format.has_palette:
        bits = 8 if colour_format.has_palette else bits
        return FilmColour("bt709", *_filled(primaries, transfer, "bt709"), "tv", bits, "rgb", alpha)
    matrix = matrix_of(frame)
    said = next((name for name, number in RANGES.items() if number == frame.color_range), None)
    full = colour_format.name.startswith("yuvj") or (colour_format.name.startswith("gray") and said is None)
    chroma = subsampling_of(colour_format) if len(components) > 1 else "gray"
    return FilmColour(
        matrix, *_filled(primaries, transfer, matrix), "pc" if full else said or "tv", bits, chroma, alpha
    )


def matrix_of(frame: Any) -> str:
    """The matrix a decoded Y'CbCr frame is converted with: the one it names, or else by its size."""
    said = next((name for name, number in MATRICES.items() if number == frame.colorspace), None)
    if said in _CONVERTIBLE:
        return said
    if said in ("bt2020c", "ictcp", "chroma-derived-nc", "chroma-derived-c", "smpte2085"):
        return "bt2020nc"  # the nearest that can be had
    return usual_matrix(frame.width, frame.height)


def usual_matrix(width: int, height: int) -> str:
    """The matrix that players take for frames of this size which name none."""
    if width >= _SD[0] or height > _SD[1]:
        return "bt709"
    return "bt470bg" if height in _PAL_LINES else "smpte170m"


def _name(names: dict[str, int], number: int, default: str) -> str:
    return next((name for name, value in names.items() if value == number), default)


def _filled(primaries: str, transfer: str, matrix: str) -> tuple[str, str]:
    """Primaries and transfer; one that is not said is the one that goes with the matrix."""
    usual = {"bt2020nc": ("bt2020", "bt2020-10"), "bt470bg": ("bt470bg", "smpte170m"), "fcc": ("bt470m", "gamma22")}
    usual_primaries, usual_transfer = usual.get(matrix, (matrix, matrix))
    return (
        usual_primaries if primaries == "unknown" else primaries,
        usual_transfer if transfer == "unknown" else transfer,
    )


def subsampling_of(colour_format: Any) -> str:
    """4:2:0 and so on, as `FilmColour.chroma` has it, of a planar format's steps between chroma samples."""
    wide, high = 16 // colour_format.chroma_width(16), 16 // colour_format.chroma_height(16)
    return {(1, 1): "444", (2, 1): "422", (1, 2): "440", (2, 2): "420", (4, 1): "411", (4, 4): "410"}.get(
        (wide, high), "420"
    )


def write_tags(codec: Any, colour: FilmColour, pix_fmt: str) -> None:
    """Tell an encoder's PyAV codec context the colour of frames in `pix_fmt`."""
    codec.color_primaries = PRIMARIES[colour.primaries]
    codec.color_trc = TRANSFERS[colour.transfer]
    rgb = is_rgb(pix_fmt)
    codec.colorspace = MATRICES["gbr" if rgb else colour.matrix]
    codec.color_range = RANGES["pc" if rgb else colour.range]


def is_rgb(pix_fmt: str) -> bool:
    """Whether FFmpeg's pixel format `pix_fmt` holds R'G'B' and no Y'CbCr."""
    return pix_fmt.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "pal8", "0rgb", "0bgr"))
