"""The tracks, chapters and tags of a file, beside its film."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import av
from av.stream import Disposition

from gen_inbetween.media.container import PICTURES, Container, open_stream
from gen_inbetween.media.source import Source

NOUNS = {"video": "video", "audio": "sound", "subtitle": "subtitles", "data": "data", "attachment": "attachment"}
CHAPTER_TEXT = "bin_data"  # the codec FFmpeg reports for the text track in which an MP4 keeps its chapters' names


@dataclass(frozen=True)
class Track:
    """One stream of a file."""

    index: int  # among all streams
    number: int  # among those of its kind, counted from 1
    kind: str  # "video", "audio", "subtitle", "data" or "attachment"
    codec: str | None  # None: FFmpeg does not know it
    tag: str | None  # four letters by which the container names it, where FFmpeg does not know the codec
    tags: dict[str, str]  # language and title
    flags: Disposition
    begin: float | None  # seconds on the file's clock

    def __str__(self) -> str:
        """What people call it: sound 2 (jpn, truehd)."""
        if self.kind == "video" and (self.flags & Disposition.attached_pic or self.codec in PICTURES):
            return f"cover art ({self.codec})"
        said = [part for part in (self.tags.get("language"), self.codec or self.tag or "no codec named") if part]
        return f"{NOUNS.get(self.kind, self.kind)} {self.number} ({', '.join(said)})"


@dataclass(frozen=True)
class Chapter:
    """A named part, in seconds on the file's clock."""

    begin: float
    end: float
    tags: dict[str, str]


@dataclass(frozen=True)
class Listing:
    """What a file holds. Nothing for a folder, or what is no video."""

    film: Track | None = None
    tracks: tuple[Track, ...] = ()  # all others
    chapters: tuple[Chapter, ...] = ()
    tags: dict[str, str] | None = None  # keys in lower case, without those that describe the file itself

    def of_kind(self, kind: str) -> list[Track]:
        return [track for track in self.tracks if track.kind == kind]


TECHNICAL = frozenset(
    "major_brand minor_version compatible_brands encoder duration handler_name vendor_id software isft "
    "number_of_frames number_of_bytes bps source_id".split()
)


def list_tracks(source: Source) -> Listing:
    """What the file of a source holds; nothing of an animation or a folder."""
    if not isinstance(source, Container):
        return Listing()
    container, film = open_stream(source.path)
    with container:
        names = _unknown_names(container)
        numbers: dict[str, int] = {}
        tracks = []
        for stream in container.streams:
            numbers[stream.type] = numbers.get(stream.type, 0) + 1
            tracks.append(_describe(stream, numbers[stream.type], names))
        chapters = tuple(map(_chapter, container.chapters()))
        others = [track for track in tracks if track.index != film.index]
        if chapters:
            others = [track for track in others if (track.kind, track.codec) != ("data", CHAPTER_TEXT)]
        return Listing(tracks[film.index], tuple(others), chapters, _tags(container.metadata))


def _describe(stream: Any, number: int, names: dict[int, str]) -> Track:
    codec = stream.codec_context.name if stream.codec_context is not None else getattr(stream, "name", None)
    metadata = {key.lower(): value for key, value in stream.metadata.items()}
    title = metadata.get("title") or metadata.get("name")  # as MP4 calls it
    language = metadata.get("language", "und")
    tags = {key: value for key, value in (("language", language), ("title", title)) if value and value != "und"}
    begin = None if stream.start_time is None else float(stream.start_time * stream.time_base)
    flags = Disposition(stream.disposition)
    return Track(stream.index, number, stream.type, codec, names.get(stream.index), tags, flags, begin)


def _unknown_names(container: Any) -> dict[int, str]:
    """The four letters of each stream without a codec, which FFmpeg tells in its description alone."""
    if all(stream.codec_context is not None for stream in container.streams):
        return {}
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        described = container.dumps_format()
    finally:
        av.logging.set_level(level)
    found = re.findall(r"Stream #0:(\d+).*?: \w+: none \((\S+) / 0x", described)
    return {int(index): name for index, name in found}


def _chapter(chapter: Any) -> Chapter:
    begin, end = (float(chapter[key] * chapter["time_base"]) for key in ("start", "end"))
    return Chapter(begin, end, dict(chapter["metadata"]))


def _tags(metadata: dict[str, str]) -> dict[str, str]:
    """Those that people wrote, or a camera did."""
    lower = {key.lower(): value for key, value in metadata.items()}
    base = {key for key in lower if "-" not in key}
    return {
        key: value
        for key, value in lower.items()
        if key not in TECHNICAL and not key.startswith("_") and not ("-" in key and key.partition("-")[0] in base)
    }
