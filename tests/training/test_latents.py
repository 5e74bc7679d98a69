"""Latents of clips: encoded as the pipeline does it, and kept on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gen_inbetween.data.clips import DataError, SyntheticClips
from gen_inbetween.runtime.files import OutputError
from gen_inbetween.training.latents import EncodedClip, cache_latents, encode_clip, open_cache, stack


def encode(pipe, clip, seed: int = 0) -> EncodedClip:
    return encode_clip(pipe, clip, noise_aug_strength=0.02, generator=torch.Generator().manual_seed(seed))


def test_a_clip_is_encoded_as_the_pipeline_does_it(tiny_pipe) -> None:
    from gen_inbetween.diffusion.conditioning import encode_keyframes

    pipe = tiny_pipe()
    clip = SyntheticClips(0, 1, num_frames=4, size=16)[0]
    latents, keyframes = stack([encode(pipe, clip)] * 2, pipe.device, torch.float32)
    wanted = encode_keyframes(
        pipe, clip.frames[:1], clip.frames[-1:], num_frames=4, fps=clip.fps, motion_bucket_id=clip.motion_bucket_id,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    for name, value in keyframes.tensors().items():
        assert value.shape[2] == 2
        torch.testing.assert_close(value[:, :, :1], getattr(wanted, name), atol=2e-3, rtol=2e-3)  # float16 on disk
    with torch.no_grad():
        clean = pipe.vae.encode(clip.frames).latent_dist.mode() * pipe.vae.config.scaling_factor
    torch.testing.assert_close(latents[0], clean, atol=2e-3, rtol=2e-3)


def test_a_cache_gives_back_what_was_encoded(tiny_pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gen_inbetween.training.latents.CLIPS_PER_SHARD", 2)
    pipe, clips = tiny_pipe(), SyntheticClips(0, 3, num_frames=2, size=16)
    encoded = [encode(pipe, clips[index], index) for index in range(3)]
    identity, asked = {"clips": clips.identity(), "size": (16, 16)}, []

    def give(index: int) -> EncodedClip:
        asked.append(index)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return encoded[index]

    assert open_cache(tmp_path, identity) is None
    with pytest.raises(KeyboardInterrupt):
        cache_latents(tmp_path, 3, identity, give)
    assert open_cache(tmp_path, identity) is None
    cache_latents(tmp_path, 3, identity, give)
    assert asked == [0, 1, 2, 2]  # the finished shard was kept
    cache = open_cache(tmp_path, identity)
    assert cache is not None and len(cache) == 3
    for index, clip in enumerate(encoded):
        assert all(torch.equal(got, wanted) for got, wanted in zip(cache[index], clip, strict=True))
    with pytest.raises(DataError, match="another clips"):
        open_cache(tmp_path, identity | {"clips": {}})


def test_a_folder_that_cannot_be_written_is_said_before_a_clip_is_encoded(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, expected a folder"):
        cache_latents(tmp_path / "file" / "latents", 2, {}, lambda _: pytest.fail("a clip was encoded"))
