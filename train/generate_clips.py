"""Make the paper's kind of training set: clips that the base model itself draws from photographs.

    python train/generate_clips.py photos/ --out clips/ --model svd-xt

Each picture becomes a folder of PNG frames, <out>/<picture's name>_<seed>/; train on them with data.stride=1. What is
there is kept, so a run that was stopped goes on; a picture that cannot be read is named and counted.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from tqdm import tqdm

from gen_inbetween.data.clips import DataError
from gen_inbetween.media.fit import fit
from gen_inbetween.media.image import FrameError, load_image
from gen_inbetween.media.reading.sequences import IMAGE_SUFFIXES
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.outputs import check_output, reserved
from gen_inbetween.runtime.recipe import one_line_errors
from gen_inbetween.training.sample_order import NOISE, seeded


def find_pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"no such folder of pictures: {folder}")
    pictures = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."
    )
    if not pictures:
        raise DataError(f"{folder} holds no pictures: expected {', '.join(sorted(IMAGE_SUFFIXES))}")
    stems = [path.stem for path in pictures]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise DataError(f"several pictures are called {twice[0]}, so their clips would be too: rename them")
    return pictures


def generate(pictures: Sequence[Path], out: Path, given: argparse.Namespace) -> list[str]:
    """Write a clip of each picture; returns a line for each that failed."""
    targets = {path: out / f"{path.stem}_{given.seed}" for path in pictures}
    for target in targets.values():
        if not target.is_dir():  # a clip that is there is kept
            check_output(target, pictures, manifest=False)
    spec = resolve_model(given.model)
    width, height = given.width or spec.width, given.height or spec.height
    pipe: Any = open_pipeline(given.model, motion=None)
    pipe.set_progress_bar_config(disable=True)
    faults = []
    for path in tqdm(pictures, unit="clip"):
        target = targets[path]
        if target.is_dir():
            continue
        try:
            picture, _ = fit(load_image(path), width, height)
        except FrameError as error:
            faults.append(str(error))
            continue
        frames = pipe(
            picture,
            method="svd",
            num_frames=given.frames,
            fps=given.fps,
            motion_bucket_id=given.motion_bucket_id,
            num_inference_steps=given.steps,
            generator=seeded(
                given.seed, NOISE, crc32(path.name.encode())
            ),  # a picture's clip, whatever others there are
        ).frames[0]
        write_video(frames, target, given.fps)
    return faults


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="pictures; subfolders are not looked into")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="svd-xt", help="as in `inbetween models`, a folder or a hub id")
    parser.add_argument("--frames", type=int, help="of a clip [the model's own]")
    parser.add_argument("--width", type=int, help="pixels [the model's own]")
    parser.add_argument("--height", type=int)
    parser.add_argument("--fps", type=int, default=7)
    parser.add_argument("--motion-bucket-id", type=int, default=127, help="0 to 255: how much moves")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    with one_line_errors(parser), reserved(given.out / "clips"):
        faults = generate(find_pictures(given.folder), given.out, given)
    parser.exit(1 if faults else 0, "".join(f"not used: {fault}\n" for fault in faults))


if __name__ == "__main__":
    main()
