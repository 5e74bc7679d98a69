"""Latents of training clips on a Ray cluster, one cached file at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gen_inbetween.data.clips import DataError
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.devices import default_device
from gen_inbetween.runtime.remote.ray_engine import Cluster, spread_numbers
from gen_inbetween.training.latents import CachedClips, Encoder, count_shards, identity_of, open_latents, write_shard
from gen_inbetween.training.settings import Run
from gen_inbetween.training.setup import base_record, fill_shape, open_base_model, open_clips


def open_latents_on_ray(run: Run, cluster: Cluster) -> CachedClips:
    """`latents.open_latents` of a run, whose files a cluster writes; all its machines must see the same folders.

    DataError: a file could not be written; those that could are kept.
    """
    assert run.data.cache is not None
    clips = open_clips(run.data, fill_shape(run.clip, resolve_model(run.model)))
    reasons = spread_numbers(count_shards(len(clips)), partial(open_shards, run), cluster)
    if failed := [f"file {number}: {why}" for number, why in enumerate(reasons) if why]:
        raise DataError(f"{len(failed)} of {len(reasons)} files of latents were not written; {failed[0]}")
    encode = Encoder(None, run.clip.noise_aug_strength, run.seed)  # every file is there: nothing is encoded
    return open_latents(run.data.cache, clips, encode, base_record(run.model))


def open_shards(run: Run) -> Callable[[int], str]:
    """What an actor does: a function of a file's number."""
    assert run.data.cache is not None
    folder = run.data.cache
    clips = open_clips(run.data, fill_shape(run.clip, resolve_model(run.model)))
    pipe = open_base_model(run.model, default_device(), run.mixed_precision)
    encode = Encoder(pipe, run.clip.noise_aug_strength, run.seed)
    identity = identity_of(clips, encode, base_record(run.model))

    def write(shard: int) -> str:
        write_shard(folder, shard, len(clips), identity, lambda index: encode(clips[index], index))
        return ""

    return write
