"""Resumable writing of a long output in finished pieces.

Each piece is a small video of its own that appears whole, in a hidden folder beside the output whose name is a hash of
what is being made: other settings never find these pieces. Those of a video are joined as they are, packet by packet,
with sound and all; those of an animation or a folder are stored without loss, and written as such at the end. A run
that was stopped gives the very frames of one that was not.
"""

from __future__ import annotations

import glob
import heapq
import itertools
import logging
import math
import os
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from gen_inbetween.media.frames.conversion import pixels_of
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video_writer import Plan, write_planned
from gen_inbetween.media.writing.codecs import piece_encoding
from gen_inbetween.media.writing.streams import decoding_time, encode_frames, muxer_options
from gen_inbetween.runtime.files import OutputError, file_url, real_place, replaced, short_name
from gen_inbetween.runtime.hashing import json_sha256
from gen_inbetween.runtime.outputs import embed

if TYPE_CHECKING:
    from gen_inbetween.media.tracks.tracks import Tracks

log = logging.getLogger("gen_inbetween")

FRAMES = 64  # of a piece: what a killed run loses at most, and how often the video can be jumped into
_COUNTING = frozenset({"mp4", "mov"})  # containers whose times are as fine as the frames'; Matroska rounds to 1 ms


class Segments:
    """The pieces of a planned output of `total` frames.

    Args:
        identity: what the video is made of and how, of plain values; equal identities make equal frames.
    """

    def __init__(self, plan: Plan, total: int, identity: dict[str, Any]) -> None:
        self.plan, self.total, self.rate, self.out = plan, total, plan.rate, real_place(plan.path)
        self.encoding = piece_encoding(plan.encoding, plan.keeps_alpha, plan.colour.bits)
        made = [identity, total, str(plan.rate), FRAMES, asdict(self.encoding), asdict(plan.colour), plan.ground]
        digest = json_sha256(made)[:16]
        place = self.out.absolute()
        self.folder = place.with_name(f".{short_name(place.name)}.{digest}.parts")
        suffix = {"matroska": "mkv"}.get(self.encoding.format, self.encoding.format)
        self.paths = [self.folder / f"{number:06d}.{suffix}" for number in range(math.ceil(total / FRAMES))]

    def begin(self, resume: bool) -> int:
        """How many frames earlier runs have finished; with resume False none, and what they left is thrown away.

        OutputError: nothing can be written there.
        """
        if not resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self.out}: {error.strerror or error}; choose another folder") from error
        done = self._finished()
        if done:
            log.info("%s: going on after %d of %d frames, which an earlier run made", self.out, done, self.total)
        return done

    def _finished(self) -> int:
        """How many frames are there in whole pieces, without a gap from the first on."""
        whole = (_frames_in(path) == self._length(number) for number, path in enumerate(self.paths))
        return min(self.total, FRAMES * sum(1 for _ in itertools.takewhile(bool, whole)))

    def _length(self, number: int) -> int:
        """The frames of a piece: all have FRAMES but the last."""
        return min(FRAMES, self.total - number * FRAMES)

    def write(self, frames: Iterator[Pixels], done: int) -> None:
        """Write the frames after the first `done`, which `frames` begins with. VideoError: it ends early."""
        try:
            for number in range(math.ceil(done / FRAMES), len(self.paths)):
                self.write_piece(number, frames)
            deque(frames, maxlen=0)  # none should be left; what it does at its end is done
        except BaseException:  # Ctrl-C and a full disk too
            if kept := self._finished():
                log.info("%s: %d of %d frames are kept; the same again goes on there", self.out, kept, self.total)
            else:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def write_piece(self, number: int, frames: Iterator[Pixels]) -> None:
        """Write one piece of the next frames. VideoError: they end early."""
        count = 0

        def counted() -> Iterator[Pixels]:
            nonlocal count
            for frame in itertools.islice(frames, self._length(number)):
                count += 1
                yield frame
            if count < self._length(number):
                done = number * FRAMES + count
                raise VideoError(f"{self.out}: frames ended early, {done} of {self.total} were made")

        plan, sample_aspect = self.plan, self.plan.written_aspect if self.plan.encoding else None
        with replaced(self.paths[number]) as temporary:
            file = file_url(temporary)
            encode_frames(plan.prepared(counted()), file, plan.rate, self.encoding, plan.written_colour, sample_aspect)

    def join(self, tracks: Tracks | None, manifest: dict[str, Any] | None = None) -> None:
        """Put the pieces and the tracks together as `out`; throw the pieces away, also those of other settings."""
        if self.plan.encoding is None:
            write_planned(self._frames(), self.plan, manifest)
        else:
            whole = self.folder / f"whole{self.out.suffix}"  # so that a run killed here leaves nothing outside
            with replaced(whole) as temporary:
                self._join_packets(temporary, tracks)
            if tracks:
                tracks.announce_end(self.out, float(self.total / self.rate))
            embed(manifest, whole)
            os.replace(whole, self.out)
        for folder in self.folder.parent.glob(f".{glob.escape(short_name(self.out.absolute().name))}.*.parts"):
            shutil.rmtree(folder, ignore_errors=True)

    def _join_packets(self, path: Path, tracks: Tracks | None) -> None:
        encoding = self.plan.encoding
        assert encoding is not None
        with (
            av.open(file_url(path), "w", format=encoding.format, options=muxer_options(encoding.format)) as output,
            av.open(file_url(self.paths[0])) as first,
        ):
            # FFmpeg's decoder of AV1 has another name than its encoder: there is none to be named for the output.
            video: Any = output.add_stream_from_template(first.streams.video[0], opaque=encoding.codec == "av1")
            video.time_base = 1 / self.rate  # what AVI counts in
            if encoding.alpha and encoding.codec == "vp9":
                video.metadata["alpha_mode"] = "1"  # by which players look for it
            if encoding.tag:
                video.codec_context.codec_tag = encoding.tag
            if self.plan.written_aspect is not None and video.codec_context is not None:
                video.codec_context.sample_aspect_ratio = self.plan.written_aspect
            feeds = [self._packets(video), *(tracks.add_to(output, video) if tracks else [])]
            for packet in heapq.merge(*feeds, key=decoding_time):
                output.mux(packet)

    def _packets(self, stream: Any) -> Iterator[Any]:
        """The packets of all pieces, counted in frames from the first piece's first."""
        for number, path in enumerate(self.paths):
            with av.open(file_url(path)) as piece:
                source: Any = piece.streams.video[0]
                unit = source.time_base * self.rate
                packets = (packet for packet in piece.demux(source) if packet.size)
                packet: Any
                for index, packet in enumerate(packets):
                    shown, decoded = packet.pts, packet.dts
                    steps = (shown * unit, decoded * unit) if self.encoding.format in _COUNTING else (index, index)
                    packet.pts, packet.dts = (number * FRAMES + round(step) for step in steps)
                    packet.duration, packet.time_base = 1, 1 / self.rate
                    packet.stream = stream
                    yield packet

    def _frames(self) -> Iterator[Pixels]:
        """The frames of all pieces."""
        for path in self.paths:
            with av.open(file_url(path)) as piece:
                yield from map(pixels_of, piece.decode(video=0))


def _frames_in(path: Path) -> int:
    """How many frames a piece holds; 0 where it is missing or not whole."""
    try:
        with av.open(file_url(path)) as piece:
            return sum(packet.size > 0 and not packet.is_corrupt for packet in piece.demux(video=0))
    except (av.FFmpegError, IndexError):
        return 0
