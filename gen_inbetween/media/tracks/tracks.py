"""Tracks of a film that go along with new pictures.

What the output cannot hold stays behind, and is named.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import av
from av.stream import Disposition

from gen_inbetween.media.tracks import sound, subtitles
from gen_inbetween.media.tracks.sound import Span
from gen_inbetween.runtime.files import file_url

if TYPE_CHECKING:
    from gen_inbetween.media.tracks.listing import Listing, Track
    from gen_inbetween.media.writing.outputs import Output

log = logging.getLogger("gen_inbetween")

Adder: TypeAlias = Callable[[Any], tuple[Any, Iterator[Any]]]  # of a stream to an open output, and of its packets

_FLAGS = (
    Disposition.default | Disposition.dub | Disposition.original | Disposition.comment | Disposition.lyrics
    | Disposition.karaoke | Disposition.forced | Disposition.hearing_impaired | Disposition.visual_impaired
    | Disposition.clean_effects | Disposition.captions | Disposition.descriptions
)  # fmt: skip
_COVERS = frozenset({"mp4", "matroska"})  # formats whose cover art PyAV can write
_QUICKTIME = dict(
    code.split("=")
    for code in (
        "fre=fra deu=ger nld=dut swe=sve ell=gre isl=ice zho=chi cze=ces slo=slk rum=ron eus=baq cym=wel msa=may "
        "fas=per kat=geo hye=arm sqi=alb mkd=mac mya=bur bod=tib"
    ).split()
)
_QUICKTIME_HAS = frozenset(
    (
        "eng fra ger ita dut sve spa dan por nor heb jpn ara fin gre ice mlt tur chi urd hin tha kor lit pol hun est "
        "lav per rus alb ron ces slk slv yid mac bul ukr bel uzb kaz aze arm geo mol kir tgk tuk mon pus kur kas snd "
        "tib nep san mar ben asm guj ori mal kan tam tel sin bur khm lao vie ind tgl may amh tir orm som swa kin run "
        "nya mlg epo wel baq cat lat que grn aym tat uig dzo jav"
    ).split()
)
_LEAD = 0.05  # seconds of sound before the first picture that are worth a word
_MP4_TAGS = frozenset(
    "title artist album_artist composer album date comment genre copyright grouping lyrics description synopsis show "
    "episode_id network keywords track disc creation_time location".split()
)
_TAGS = {  # those that FFmpeg writes into a container; others keep any
    "mp4": _MP4_TAGS,
    "mov": _MP4_TAGS | {"make", "model", "performer", "author"},
    "avi": frozenset("title artist copyright comment date genre language album track".split()),
}
_APPLE = "com.apple.quicktime."  # before the names that its cameras give to tags
_APPLE_TAGS = {"location.iso6709": "location", "creationdate": "date"}


@dataclass(frozen=True)
class _Carried:
    track: Track
    add: Adder


class Tracks:
    """All that `path` holds beside its film and `output` can hold, within `span`.

    Sound is copied as it is where the container can hold it and players play it from there, and encoded anew where not;
    stretched it is always encoded. Text subtitles are written as the container's kind. Memory does not grow with the
    length.

    Args:
        listing: what the file holds.
        heard: the part of the sound, and how it is stretched; None: no sound, without a word.
        shown: the part of the film and how many times as long it becomes; None: its time is bent, so that nothing that
            hangs on it can follow.
    """

    def __init__(self, path: Path, listing: Listing, output: Output, heard: Span | None, shown: Span | None) -> None:
        self.path, self.listing, self.output, self.shown = path, listing, output, shown
        self.left_out: list[str] = []
        self.encoded: list[str] = []
        self.carried: list[_Carried] = []
        self.sound_end = 0.0  # seconds of the output, known once the packets have been read
        for track in listing.tracks:
            if track.kind == "audio" and heard is None:
                continue
            add = self._way(track, heard)
            if add is None:
                self.left_out.append(str(track))
            else:
                self.carried.append(_Carried(track, add))
        self.tags, lost = _choose_tags(listing.tags or {}, output.format)
        self.chapters = self._move_chapters()
        if listing.chapters and not self.chapters:
            self.left_out.append(f"{len(listing.chapters)} chapters")
        if lost:
            self.left_out.append(f"tags ({', '.join(lost)})")
        self.left_out += self._lost_words()

    def _lost_words(self) -> list[str]:
        """What a container cannot say of the tracks it gets: a language it has no word for, which is the default."""
        film, container = self.listing.film, self.output.format
        tracks = [*([film] if film else []), *(carried.track for carried in self.carried)]
        languages = [
            f"the language of {track}"
            for track in tracks
            if (said := track.tags.get("language")) and not _has_language(container, _quicktime(said))
        ]
        if container != "avi":
            return languages
        default = [
            f"that {track} is the default" for track in tracks if track.number > 1 and track.flags & Disposition.default
        ]
        return languages + default

    def _way(self, track: Track, heard: Span | None) -> Adder | None:
        """How a track gets into the output; None: not at all."""
        ways: list[Adder] = []
        if track.codec is None:
            return None
        if track.kind == "audio" and heard is not None:
            return self._way_of_sound(track, heard)
        path, index = self.path, track.index
        if track.kind == "subtitle" and self.shown is not None and self.output.subtitles:
            shown, kind = self.shown, self.output.subtitles
            ways.append(lambda output: subtitles.copy_into(output, path, index, shown))
            ways.append(lambda output: subtitles.encode_into(output, path, index, shown, kind))
        elif track.kind == "attachment" and self.output.format == "matroska":
            ways.append(lambda output: _attach(output, path, index))
        elif track.flags & Disposition.attached_pic and self.output.format in _COVERS:
            ways.append(lambda output: _add_cover(output, path, index))
        return next((way for way in ways if _works(way, self.output.format)), None)

    def _way_of_sound(self, track: Track, heard: Span) -> Adder | None:
        path, index, codec = self.path, track.index, track.codec or ""
        encoder = self.output.sound[0]
        if heard.scale == 1:
            copied: Adder = partial(_copy, path=path, index=index, heard=heard, codec=codec)
            if _works(copied, self.output.format):
                return copied
        for layout in sound.layouts_of(path, index):
            encoded: Adder = partial(_encode, path=path, index=index, heard=heard, codec=encoder, layout=layout)
            if _works(encoded, self.output.format):
                if heard.scale == 1:
                    self.encoded.append(codec)
                return encoded
        return None

    def _move_chapters(self) -> list[dict[str, Any]]:
        """The chapters at their new times, as PyAV takes them."""
        if self.shown is None or not self.output.chapters:
            return []
        begin, end, scale = self.shown.begin, self.shown.end, self.shown.scale
        moved: list[dict[str, Any]] = []
        for chapter in self.listing.chapters:
            bounds = [(max(begin, min(at, end)) - begin) * scale for at in (chapter.begin, chapter.end)]
            if bounds[0] < bounds[1]:
                first, last = (round(1000 * bound) for bound in bounds)
                unit = Fraction(1, 1000)
                moved.append(
                    {"id": len(moved) + 1, "start": first, "end": last, "time_base": unit, "metadata": chapter.tags}
                )
        return moved

    def announce(self, out: Path) -> None:
        """Say what is encoded anew, and what stays behind."""
        if self.encoded:
            message = "%s sound is not copied into %s but encoded anew, as %s"
            log.info(message, ", ".join(dict.fromkeys(self.encoded)), out.name, self.output.sound[0])
        if self.left_out:
            log.info(
                "%s does not get all that %s holds; left out: %s", out.name, self.path.name, "; ".join(self.left_out)
            )

    def announce_end(self, out: Path, duration: float) -> None:
        """Say that sound goes on after the pictures, which end after `duration` seconds."""
        if self.sound_end > duration + _LEAD:
            message = "%s: sound goes on for %.2f s after the pictures; the last one stands"
            log.info(message, out.name, self.sound_end - duration)

    def _note_end(self, feed: Iterator[Any]) -> Iterator[Any]:
        for packet in feed:
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self.sound_end = max(self.sound_end, end)
            yield packet

    def add_to(self, output: Any, film: Any) -> list[Iterator[Any]]:
        """Add the streams to the open container `output`, which has the film's; their packets follow, in order."""
        output.metadata.update(self.tags)
        if self.listing.film is not None:
            film.metadata.update(_spelled(self.listing.film.tags, output.format.name))
        feeds = []
        for carried in self.carried:
            stream, feed = carried.add(output)
            if stream is not None:
                stream.metadata.update(_spelled(carried.track.tags, output.format.name))
                stream.disposition = carried.track.flags & (_FLAGS | Disposition.attached_pic)
                feeds.append(self._note_end(feed) if carried.track.kind == "audio" else feed)
        if self.chapters:
            output.set_chapters(self.chapters)
        return feeds


def _encode(output: Any, path: Path, index: int, heard: Span, codec: str, layout: str) -> tuple[Any, Iterator[Any]]:
    return sound.encode_into(output, path, index, heard, codec, layout)


def _copy(output: Any, path: Path, index: int, heard: Span, codec: str) -> tuple[Any, Iterator[Any]]:
    if not sound.can_be_copied(codec, output):
        raise ValueError(f"{output.format.name} does not hold {codec}")
    return sound.copy_into(output, path, index, heard)


def _attach(output: Any, path: Path, index: int) -> tuple[Any, Iterator[Any]]:
    """Fonts of subtitles, mostly."""
    with av.open(file_url(path)) as container:
        source: Any = container.streams[index]
        output.add_attachment(source.name or f"attachment {index}", source.mimetype or "", source.data)
    return None, iter(())


def _add_cover(output: Any, path: Path, index: int) -> tuple[Any, Iterator[Any]]:
    """Cover art: a stream of one picture; in Matroska a file."""
    with av.open(file_url(path)) as container:
        source: Any = container.streams[index]
        picture: Any = next(packet for packet in container.demux(source) if packet.size)
        if output.format.name == "matroska":
            kind = {"mjpeg": "jpeg"}.get(source.codec_context.name, source.codec_context.name)
            output.add_attachment(f"cover.{kind}", f"image/{kind}", bytes(picture))
            return None, iter(())
        stream = output.add_stream_from_template(source)
    picture.stream, picture.pts, picture.dts = stream, 0, 0
    return stream, iter([picture])


def _works(way: Adder, container: str) -> bool:
    """Whether a container takes a stream in this way: its header is written to nowhere."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as rehearsal:
            way(rehearsal)
            rehearsal.start_encoding()
    except (av.FFmpegError, ValueError, AttributeError):
        return False
    return True


def _has_language(container: str, language: str) -> bool:
    return container != "avi" and (container != "mov" or language in _QUICKTIME_HAS)


def _quicktime(language: str) -> str:
    return _QUICKTIME.get(language, language)


def _spelled(tags: dict[str, str], container: str) -> dict[str, str]:
    """A track's tags with its language as the container spells it: QuickTime knows one of ISO 639-2's two codes."""
    language = tags.get("language", "")
    return {**tags, "language": _quicktime(language)} if container == "mov" and language else tags


def _choose_tags(tags: dict[str, str], container: str) -> tuple[dict[str, str], list[str]]:
    """The tags that the container holds, and the names of those it does not."""
    named: dict[str, str] = {}
    for key, value in tags.items():
        short = key.removeprefix(_APPLE)
        named.setdefault(_APPLE_TAGS.get(short, short), value)
    held = _TAGS.get(container)
    kept = {key: value for key, value in named.items() if held is None or key in held}
    return kept, sorted(set(named) - set(kept))


def sound_before(listing: Listing, begin: float) -> float:
    """Seconds of sound before the first picture, which begins at `begin`; 0 where it is not worth a word."""
    begins = [track.begin for track in listing.of_kind("audio") if track.begin is not None]
    lead = begin - min(begins, default=math.inf)
    return lead if lead > _LEAD else 0.0
