"""Training clips as latents and CLIP embeddings, encoded once and cached on disk.

What is kept is rounded to float16, and so is what is encoded on the fly: training from the cache equals training
without. The noise on a clip's keyframes is drawn once per clip, not per step, for the same reason. Encode in float32.

    <cache>/latents_00000.safetensors ...   64 clips each, tensors stacked
    <cache>/latents.json                    what is in them, written last: a cache without it is not finished
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from gen_inbetween.data.clips import Clips, DataError, TrainingClip
from gen_inbetween.diffusion.conditioning import KeyframeConditioning, added_time_ids, embed_frames, encode_latents
from gen_inbetween.diffusion.motion_files import open_weights
from gen_inbetween.runtime.files import check_writable, save_tensors, write_json
from gen_inbetween.training.sample_order import KEYFRAMES, seeded

INDEX = "latents.json"
CLIPS_PER_SHARD = 64


class EncodedClip(NamedTuple):
    """One clip; keyframes along the axis "direction" (first, last). float16 but for the ids."""

    latents: Tensor  # (frame, channel, height, width), scaled by the VAE's factor
    image_latents: Tensor  # (direction, channel, height, width), unscaled, of the noise-augmented keyframes
    image_embeds: Tensor  # (direction, embedding)
    added_time_ids: Tensor  # (3,) float32: fps - 1, motion bucket, noise augmentation


@torch.no_grad()
def encode_clip(pipe: Any, clip: TrainingClip, *, noise_aug_strength: float, generator: torch.Generator) -> EncodedClip:
    """Encode with the VAE and the image encoder of `pipe`, one frame at a time: the memory of one, whatever the clip.

    Args:
        generator: draws the noise on the keyframes, one draw for both, as `conditioning.encode_keyframes` does.
    """
    frames = clip.frames.to(pipe.vae.device)
    ends = frames[[0, -1]]
    noise = torch.randn(frames.shape[1:], generator=generator).to(frames)
    latents = torch.cat([encode_latents(pipe, frame[None]) for frame in frames]) * pipe.vae.config.scaling_factor
    image_latents = torch.cat([encode_latents(pipe, end[None] + noise_aug_strength * noise) for end in ends])
    embeds = torch.cat([embed_frames(pipe, end[None])[:, 0] for end in ends])
    ids = added_time_ids(clip.fps, clip.motion_bucket_id, noise_aug_strength).float()
    encoded = EncodedClip(latents.half(), image_latents.half(), embeds.half(), ids)
    if not all(part.isfinite().all() for part in encoded):
        raise DataError(f"{clip.name}: its latents are not finite; run the VAE in float32")
    return EncodedClip(*(part.cpu() for part in encoded))


@dataclass(frozen=True)
class Encoder:
    """Clip number i -> what the UNet learns from it; the same whenever and wherever it is asked for."""

    pipe: Any  # an `InbetweenPipeline`
    noise_aug_strength: float
    seed: int

    def __call__(self, clip: TrainingClip | EncodedClip, index: int) -> EncodedClip:
        """`clip` itself if it comes from a cache."""
        if isinstance(clip, EncodedClip):
            return clip
        generator = seeded(self.seed, KEYFRAMES, index)
        return encode_clip(self.pipe, clip, noise_aug_strength=self.noise_aug_strength, generator=generator)


def stack(
    clips: Sequence[EncodedClip], device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, KeyframeConditioning]:
    """A batch for `loss.backward_motion_loss`: latents float32 (pair, frame, channel, height, width), conditioning.

    Args:
        dtype: the one the UNet runs in.
    """
    latents, image_latents, embeds, ids = (torch.stack(parts).to(device) for parts in zip(*clips, strict=True))
    keyframes = KeyframeConditioning.assemble(
        image_latents.transpose(0, 1), embeds.transpose(0, 1), ids, num_frames=latents.shape[1], dtype=dtype
    )
    return latents.float(), keyframes


class CachedClips:
    """The clips of a finished cache, read from disk one at a time."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.index: dict[str, Any] = json.loads((self.folder / INDEX).read_text())

    def __len__(self) -> int:
        return int(self.index["clips"])

    def __getitem__(self, index: int) -> EncodedClip:
        if not 0 <= index < len(self):
            raise IndexError(f"expected a clip from 0 to {len(self) - 1}, got {index}")
        shard, row = divmod(index, CLIPS_PER_SHARD)
        with open_weights(shard_path(self.folder, shard)) as weights:
            return EncodedClip(*(weights.get_slice(name)[row] for name in EncodedClip._fields))


def open_cache(folder: str | Path, identity: Mapping[str, Any]) -> CachedClips | None:
    """The cache in `folder`, or None where none is finished yet.

    Args:
        identity: JSON values that say what its clips must be: of which files, model and noise.

    Raises:
        DataError: it was made of something else.
    """
    if not (Path(folder) / INDEX).is_file():
        return None
    cache, wanted = CachedClips(folder), plain(identity)
    cached = cache.index["identity"]
    differing = sorted(key for key in cached.keys() | wanted.keys() if cached.get(key) != wanted.get(key))
    if differing:
        raise DataError(
            f"the latents in {folder} were made with another {', '.join(differing)}: delete that folder to have them "
            "made again, or give another data.cache"
        )
    return cache


def cache_latents(
    folder: str | Path, clips: int, identity: Mapping[str, Any], encode: Callable[[int], EncodedClip]
) -> CachedClips:
    """Write clips 0 to `clips` - 1, as `encode` gives them; shards which an interrupted run has finished are kept.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = Path(folder)
    for shard in tqdm(range(count_shards(clips)), desc=f"latents to {folder}", unit="shard"):
        write_shard(folder, shard, clips, identity, encode)
    write_json(folder / INDEX, {"identity": plain(identity), "clips": clips})
    return CachedClips(folder)


def count_shards(clips: int) -> int:
    """The files of a cache of so many clips."""
    return -(-clips // CLIPS_PER_SHARD)


def write_shard(
    folder: Path, shard: int, clips: int, identity: Mapping[str, Any], encode: Callable[[int], EncodedClip]
) -> None:
    """Write one file of a cache of `clips` clips, unless it is there."""
    path, identity_text = shard_path(folder, shard), json.dumps(plain(identity))
    if path.is_file():
        with open_weights(path) as weights:
            if (weights.metadata() or {}).get("identity") == identity_text:
                return
    check_writable(path)  # before its clips are encoded
    first = shard * CLIPS_PER_SHARD
    part = [encode(index) for index in range(first, min(first + CLIPS_PER_SHARD, clips))]
    stacked = dict(zip(EncodedClip._fields, map(torch.stack, zip(*part, strict=True)), strict=True))
    save_tensors(path, stacked, {"identity": identity_text})


def shard_path(folder: Path, shard: int) -> Path:
    return folder / f"latents_{shard:05d}.safetensors"


def plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read back from JSON, where tuples are lists."""
    values: dict[str, Any] = json.loads(json.dumps(identity))
    return values


def open_latents(folder: Path, clips: Clips, encode: Encoder, base: Mapping[str, str]) -> CachedClips:
    """The cache in `folder`, made now if it is not there; `base` as `base_record` gives it.

    Raises:
        DataError: a cache of other clips, another model, other noise or another seed is there.
    """
    identity = identity_of(clips, encode, base)
    return open_cache(folder, identity) or cache_latents(
        folder, len(clips), identity, lambda index: encode(clips[index], index)
    )


def identity_of(clips: Clips, encode: Encoder, base: Mapping[str, str]) -> dict[str, Any]:
    """What says of which clips, model and noise a cache is."""
    identity: dict[str, Any] = {"clips": clips.identity(), "model": base["base_sha256"]}
    return identity | {"noise_aug_strength": encode.noise_aug_strength, "seed": encode.seed}
