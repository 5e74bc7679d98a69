"""Resumable writing of a long MP4 in finished pieces.

Each piece is a small MP4 of its own that appears whole, in a hidden folder beside the output whose name is a hash of
what is being made: other settings never find these pieces. At the end their packets are joined as they are, with
sound and all; a run that was stopped gives the very frames of one that was not.
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
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from gen_inbetween.media.frames.colour import SDR, FilmColour
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.files import OutputError, file_url, real_place, replaced, short_name
from gen_inbetween.runtime.hashing import json_sha256
from gen_inbetween.runtime.outputs import embed

if TYPE_CHECKING:
    from gen_inbetween.media.tracks.tracks import Tracks

log = logging.getLogger("gen_inbetween")

FRAMES = 64  # of a piece: what a killed run loses at most, and how often the video can be jumped into


class Segments:
    """The pieces of `out`, an MP4 of `total` frames at `rate`.

    Args:
        identity: what the video is made of and how, of plain values; equal identities make equal frames.
        colour: of the frames.
    """

    def __init__(
        self, out: Path, total: int, rate: Fraction, identity: dict[str, Any], colour: FilmColour = SDR
    ) -> None:
        self.out, self.total, self.rate, self.colour = real_place(out), total, rate, colour
        digest = json_sha256([identity, total, str(rate), FRAMES])[:16]
        self.folder = self.out.absolute().with_name(f".{short_name(self.out.name)}.{digest}.parts")
        self.paths = [self.folder / f"{number:06d}.mp4" for number in range(math.ceil(total / FRAMES))]

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

    def write(self, images: Iterator[Pixels], done: int) -> None:
        """Write the frames after the first `done`, which `images` begins with. VideoError: it ends early."""
        try:
            for number in range(math.ceil(done / FRAMES), len(self.paths)):
                self._write_piece(number, images)
            deque(images, maxlen=0)  # none should be left; what it does at its end is done
        except BaseException:  # Ctrl-C and a full disk too
            if kept := self._finished():
                log.info("%s: %d of %d frames are kept; the same again goes on there", self.out, kept, self.total)
            else:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _write_piece(self, number: int, images: Iterator[Pixels]) -> None:
        path, length = self.paths[number], self._length(number)
        write_video(itertools.islice(images, length), path, float(self.rate), colour=self.colour, overwrite=True)
        if (count := _frames_in(path)) != length:
            path.unlink()
            raise VideoError(f"{self.out}: frames ended early, {number * FRAMES + count} of {self.total} were made")

    def join(
        self, tracks: Tracks | None, sample_aspect: Fraction | None, manifest: dict[str, Any] | None = None
    ) -> None:
        """Put the pieces and the tracks together as `out`; throw the pieces away, also those of other settings."""
        whole = self.folder / "whole.mp4"  # so that a run killed here leaves nothing outside of the folder
        with (
            replaced(whole) as temporary,
            av.open(file_url(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as output,
            av.open(file_url(self.paths[0])) as first,
        ):
            video = output.add_stream_from_template(first.streams.video[0])
            if sample_aspect is not None:
                video.codec_context.sample_aspect_ratio = sample_aspect
            feeds = [self._packets(video), *(tracks.add_to(output, video) if tracks else [])]
            for packet in heapq.merge(*feeds, key=_decoding_time):
                output.mux(packet)
        if tracks:
            tracks.announce_end(self.out, float(self.total / self.rate))
        embed(manifest, whole)
        os.replace(whole, self.out)
        for folder in self.folder.parent.glob(f".{glob.escape(short_name(self.out.name))}.*.parts"):
            shutil.rmtree(folder, ignore_errors=True)

    def _packets(self, stream: Any) -> Iterator[Any]:
        """The packets of all pieces, counted in frames from the first piece's first."""
        for number, path in enumerate(self.paths):
            with av.open(file_url(path)) as piece:
                source: Any = piece.streams.video[0]
                unit = source.time_base * self.rate
                packet: Any
                for packet in piece.demux(source):
                    if not packet.size:
                        continue
                    packet.pts, packet.dts = (number * FRAMES + round(at * unit) for at in (packet.pts, packet.dts))
                    packet.duration, packet.time_base = 1, 1 / self.rate
                    packet.stream = stream
                    yield packet


def _decoding_time(packet: Any) -> Any:
    return packet.dts * packet.time_base


def _frames_in(path: Path) -> int:
    """How many frames a piece holds; 0 where it is missing or not whole."""
    try:
        with av.open(file_url(path)) as piece:
            return sum(packet.size > 0 and not packet.is_corrupt for packet in piece.demux(video=0))
    except (av.FFmpegError, IndexError):
        return 0
