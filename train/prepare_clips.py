"""Look through the clips of a training run before it starts, and encode them once.

    python train/prepare_clips.py --config configs/train/backward_svd.yaml data.folder=clips
    python train/prepare_clips.py --config configs/train/backward_svd.yaml data.folder=clips --cache-latents
    python train/prepare_clips.py --config ... --cache-latents --engine ray --workers 2..64 --gpus-per-worker 1

The configuration and the settings are those of the run, so that what is checked and kept is what it will read. Says how
many clips each file gives and names every file that gives none, with the reason; exit status 1 if there is one.
--cache-latents writes data.cache: VAE latents and CLIP embeddings in float16; no training step then runs the VAE.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gen_inbetween.data.clips import ClipFolder, Clips
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.config import ConfigError, load
from gen_inbetween.runtime.devices import default_device
from gen_inbetween.runtime.files import check_writable
from gen_inbetween.runtime.remote.ray_engine import Cluster, add_options, cluster_of
from gen_inbetween.training.latents import INDEX, Encoder, open_latents
from gen_inbetween.training.latents_on_ray import open_latents_on_ray
from gen_inbetween.training.settings import Run
from gen_inbetween.training.setup import base_record, fill_shape, open_base_model, open_clips


def report(clips: Clips) -> None:
    """One line per file, and the sum."""
    if isinstance(clips, ClipFolder):
        for file, count in Counter(file for file, _ in clips.windows).items():
            print(f"{clips.name_of(file)}: {count} clips")
    for name, fault in clips.faults.items():
        print(f"{name}: NOT USED: {fault}")
    print(f"{len(clips)} clips; {len(clips.faults)} files give none")


def cache(run: Run, clips: Clips, cluster: Cluster | None) -> None:
    if run.data.cache is None:
        raise ConfigError("--cache-latents needs a folder to write to: set data.cache")
    check_writable(run.data.cache / INDEX)
    if cluster is not None:
        print(f"{run.data.cache}: {len(open_latents_on_ray(run, cluster))} clips")
        return
    pipe = open_base_model(run.model, default_device(), run.mixed_precision)
    encode = Encoder(pipe, run.clip.noise_aug_strength, run.seed)
    latents = open_latents(run.data.cache, clips, encode, base_record(run.model))
    print(f"{run.data.cache}: {len(latents)} clips")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--cache-latents", action="store_true")
    add_options(parser)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as in the YAML")
    given = parser.parse_intermixed_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.ERROR)  # faults are in the report
    try:
        run = load(Run, given.config, given.overrides)
        clips = open_clips(run.data, fill_shape(run.clip, resolve_model(run.model)))
        report(clips)
        if given.cache_latents:
            cache(run, clips, cluster_of(given))
    except (ValueError, OSError, ImportError) as error:  # what a person can mend
        parser.exit(2, f"error: {error}\n")
    parser.exit(1 if clips.faults else 0)


if __name__ == "__main__":
    main()
