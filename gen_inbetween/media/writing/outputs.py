"""The table of outputs: endings of names, and what each holds.

    .mp4  .mov  .mkv  .webm  .avi      videos, with sound
    .gif  .webp  .apng                 animations, endless
    .y4m, or - for standard output     raw pictures for another program
    folder/   folder/f_%04d.tif        one file a frame: .png (8 or 16 bits), .tif (16), .exr (linear light)

Every command and function that writes frames asks this table, and nothing else.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gen_inbetween.media.frames.errors import VideoError

STDOUT = "-"
PATTERN = re.compile(r"%(?:0(\d+))?d")  # of printf, as FFmpeg names the files of a sequence
DEFAULT_PATTERN = "frame_%05d.png"


@dataclass(frozen=True)
class Output:
    """One kind of output."""

    kind: str  # "video", "animation", "pipe" or "folder"
    format: str  # the container as FFmpeg names it; of a folder, the files' suffix
    codecs: tuple[str, ...] = ()  # of the table of codecs, those it can hold; the first is taken unless one is said
    alpha: str | None = None  # the codec taken for pictures with transparency; None: it holds none
    sound: tuple[str, ...] = ()  # the codecs of sound copied into it; others are encoded as the first
    deep: bool = False  # whether it can hold more than 8 bits
    subtitles: str | None = None  # the codec of its subtitles
    chapters: bool = False

    @property
    def resumable(self) -> bool:
        """Whether it is written in pieces, from which a run that was killed goes on: all but what is piped away."""
        return self.kind != "pipe"

    @property
    def varies(self) -> bool:
        """Whether its frames may be shown at any times: AVI counts them, and so do pipes and folders."""
        return self.kind == "animation" or (self.kind == "video" and self.format != "avi")


_MOV_SOUND = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac", "mp2", "dts")
_ANY_SOUND = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac", "mp2", "dts", "vorbis", "truehd", "wavpack")

OUTPUTS: dict[str, Output] = {
    ".mp4": Output("video", "mp4", ("h264", "hevc", "av1", "vp9"), None, _MOV_SOUND, True, "mov_text", True),
    ".mov": Output("video", "mov", ("h264", "hevc", "prores"), "prores", _MOV_SOUND, True, "mov_text", True),
    ".mkv": Output(
        "video", "matroska", ("h264", "hevc", "av1", "vp9", "ffv1", "prores"), None, _ANY_SOUND, True,
        "subrip", True,
    ),
    ".webm": Output("video", "webm", ("vp9", "av1"), "vp9", ("opus", "vorbis"), True, "webvtt", True),
    ".avi": Output("video", "avi", ("h264", "ffv1"), None, ("mp3", "ac3", "aac", "mp2"), True),
    ".y4m": Output("pipe", "yuv4mpegpipe", ("rawvideo",), deep=True),
    ".gif": Output("animation", "gif", alpha="gif"),
    ".webp": Output("animation", "webp", alpha="webp"),
    ".apng": Output("animation", "apng", alpha="apng"),
    "": Output("folder", ".png", alpha="png", deep=True),
}  # fmt: skip
FILES = (".png", ".tif", ".tiff", ".exr")  # what a folder's pattern may end in


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The key of OUTPUTS that a path means: its suffix, "" where it is a folder, by its name or already."""
    path = Path(path)
    if str(path) == STDOUT:
        return ".y4m"
    return "" if os.path.isdir(path) or is_pattern(path) else path.suffix.lower()


def is_pattern(path: Path) -> bool:
    """Whether a name stands for the files of a folder: f_%04d.png, not 100%d.mp4."""
    return PATTERN.search(path.name) is not None and path.suffix.lower() in FILES


def check_suffix(path: str | os.PathLike[str], *, sheet: bool = False) -> None:
    """Raise VideoError unless the path's ending is that of an output; sheet: .png is one as well, a contact sheet."""
    suffix, name = suffix_of(path), Path(path).name
    # as of "$name.gif" without a name
    if name.lower() in {".png", *OUTPUTS, *FILES} - {""} and not os.path.isdir(path):
        raise VideoError(f"cannot write {path}: that is an ending alone; expected a name before it, as in clip{name}")
    if suffix in OUTPUTS or (sheet and suffix == ".png"):
        return
    names = [*filter(None, OUTPUTS), *([".png (a sheet of all frames)"] if sheet else [])]
    raise VideoError(
        f"cannot write {path}: expected {', '.join(names)}, no extension for a folder of PNG files, or a pattern such "
        f"as frames/f_%04d.png ({', '.join(FILES)})"
    )


def numbered(pattern: str, number: int) -> str:
    """The name of file `number` of a folder.

    >>> numbered("f_%04d.png", 12), numbered("f_%d.png", 12)
    ('f_0012.png', 'f_12.png')
    """
    return PATTERN.sub(lambda place: str(number).zfill(int(place[1] or 0)), pattern)


def pattern_of(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """(folder, pattern of its files' names) of an output that is a folder.

    >>> [pattern_of(name)[1] for name in ("shot/f_%04d.exr", "shot", "100%d.mp4")]
    ['f_%04d.exr', 'frame_%05d.png', 'frame_%05d.png']
    """
    path = Path(path)
    if not path.is_dir() and is_pattern(path):
        return path.parent, path.name
    return path, DEFAULT_PATTERN


def place_of(path: str | os.PathLike[str]) -> Path:
    """What an output replaces: the file, or the folder, also where it is named by a pattern of its files.

    >>> place_of("shot/f_%04d.exr").as_posix(), place_of("100%d.mp4").as_posix()
    ('shot', '100%d.mp4')
    """
    return Path(path) if suffix_of(path) else pattern_of(path)[0]
