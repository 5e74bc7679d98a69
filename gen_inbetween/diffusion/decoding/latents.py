"""Exact VAE decoding of a whole clip, streamed layer by layer.

    frames = decode_latents(pipe.vae, latents)  # (pair, frame, 3, height, width) in [-1, 1]

SVD's decoder mixes frames in two places only: the temporal GroupNorms, whose statistics span the whole clip, and
temporal convolutions that reach one frame to each side. Everything else works on one frame. So the decoder can be run
layer by layer, each layer streamed over the frames: statistics of the clip are merged from statistics of its frames,

    mean = mean_f(mean_f),    var = mean_f(var_f) + var_f(mean_f)        (frames of equal size)

and a temporal convolution sees a sliding window of three frames. Between the two norms of a block the clip is computed
twice (for its statistics, then for its use) rather than kept: 9 % more FLOPs than decoding all frames at once, a fifth
of the memory, the same result.
Chunked decoding (`decode_chunk_size` of diffusers) is NOT exact: each chunk has GroupNorm statistics of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, get_args

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder, TemporalDecoder
from diffusers.models.resnet import SpatioTemporalResBlock
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from gen_inbetween.diffusion.decoding.modes import DEFAULT_CHUNK_SIZE, DecodeMode
from gen_inbetween.diffusion.samplers.previews import ColourMap
from gen_inbetween.runtime.checks import check_whole
from gen_inbetween.runtime.messages import warn_once


def choose_decode(mode: DecodeMode | None, chunk_size: int | None) -> DecodeMode:
    """The mode asked for; None: "chunked" if a chunk size is given, as SVD's examples do, else "streamed"."""
    if chunk_size is not None:
        check_whole("decode_chunk_size", chunk_size, 1)
    if mode is not None and mode not in get_args(DecodeMode):
        raise ValueError(f"expected decode out of {', '.join(get_args(DecodeMode))}, got {mode!r}")
    if mode is not None or chunk_size is None:
        return mode or "streamed"
    warn_once(
        f"decode_chunk_size={chunk_size}: the clip is decoded in chunks, which may flicker at their seams; without it, "
        "decoding is exact and takes less memory"
    )
    return "chunked"


@torch.no_grad()
def decode_latents(
    vae: AutoencoderKLTemporalDecoder,
    latents: Tensor,
    *,
    mode: DecodeMode = "streamed",
    chunk_size: int | None = None,
) -> Tensor:
    """Decode clips of latents into frames.

    Args:
        vae: an AutoencoderKLTemporalDecoder; it decodes in its own dtype, as diffusers does.
        latents: (pair, frame, channel, height, width), scaled by `vae.config.scaling_factor` as the sampler
            leaves them.
        mode: "streamed" (exact, default) and "all" (exact, most memory) give the same frames; "chunked" decodes
            `chunk_size` frames at a time (inexact: flicker at the seams); "preview" is an approximate linear
            map from latent to colour, fitted on the first and last frame.
        chunk_size: frames per chunk, for mode "chunked" only (default 8).

    Returns:
        frames (pair, frame, 3, height * 2^k, width * 2^k), nominally in [-1, 1] (not clamped), float32
        (float64 from a float64 VAE, for proofs).

    Raises:
        ValueError: an unknown mode, latents that are not 5-D, or a chunk size that is not positive or not asked for.
    """
    if mode not in get_args(DecodeMode):
        raise ValueError(f"expected a decode mode of {', '.join(get_args(DecodeMode))}, got {mode!r}")
    if latents.ndim != 5:
        raise ValueError(f"expected latents (pair, frame, channel, height, width), got shape {tuple(latents.shape)}")
    if chunk_size is not None and (mode != "chunked" or chunk_size < 1):
        remedy = "give a size of 1 or more, with mode 'chunked' only"
        raise ValueError(f"got chunk_size={chunk_size} with mode {mode!r}: {remedy}")
    latents = (latents / vae.config["scaling_factor"]).to(vae.dtype)
    decoders: dict[str, Callable[[Tensor], Tensor]] = {
        "streamed": lambda clip: decode_streamed(vae, clip),
        "all": lambda clip: _decode_chunked(vae, clip, len(clip)),
        "chunked": lambda clip: _decode_chunked(vae, clip, chunk_size or DEFAULT_CHUNK_SIZE),
        "preview": lambda clip: _decode_preview(vae, clip),
    }
    return torch.stack([decoders[mode](clip) for clip in latents])  # one clip at a time: clips share nothing


def _decode_chunked(vae: AutoencoderKLTemporalDecoder, clip: Tensor, chunk_size: int) -> Tensor:
    return torch.cat([_widen(vae.decode(chunk, num_frames=len(chunk)).sample) for chunk in clip.split(chunk_size)])


def _widen(frames: Tensor) -> Tensor:
    return frames.to(torch.promote_types(frames.dtype, torch.float32))


def _decode_preview(vae: AutoencoderKLTemporalDecoder, clip: Tensor) -> Tensor:
    """Approximate: an affine map from latent to mean colour, fitted by least squares on both ends of the clip.

    Fitting it anew makes it right for any VAE, at the price of decoding two single frames.
    """
    ends = torch.stack([clip[0], clip[-1]])
    decoded = _decode_chunked(vae, ends, 1)
    small = ColourMap.fit(ends, decoded)(clip)
    return F.interpolate(small.to(decoded), size=decoded.shape[-2:], mode="bilinear")


@apply_forward_hook  # model offload moves the VAE to its device before `decode`; here its layers are called directly
def decode_streamed(vae: AutoencoderKLTemporalDecoder, clip: Tensor) -> Tensor:
    """Decode one clip exactly, layer by layer and frame by frame.

    Args:
        vae: an AutoencoderKLTemporalDecoder whose weights are on the device of `clip`.
        clip: (frame, channel, height, width), unscaled latents in the dtype of the VAE.

    Returns:
        frames (frame, 3, height * 2^k, width * 2^k), float32 (float64 from a float64 VAE).

    Raises:
        ValueError: if the VAE's weights are elsewhere (group offload of the VAE does not fit with streaming).
    """
    decoder = vae.decoder
    if decoder.time_conv_out.weight.device != clip.device:
        raise ValueError(
            f"expected the VAE on {clip.device}, found it on {decoder.time_conv_out.weight.device}: move it there, or "
            "leave it out of group offload (exclude_modules='vae')"
        )
    frames = list(clip.split(1))
    for spatial_layers, block in _stages(decoder):
        for index, frame in enumerate(frames):
            for layer in spatial_layers:
                frame = layer(frame)
            frames[index] = frame
        _apply_temporal(block, frames)
    last = (decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(frame))) for frame in _drain(frames))
    return torch.cat([_widen(frame) for frame in _temporal_conv(decoder.time_conv_out, last)])


def _stages(decoder: TemporalDecoder) -> Iterator[tuple[list[Callable[[Tensor], Tensor]], SpatioTemporalResBlock]]:
    """The decoder as runs of single-frame layers, each ended by a block whose temporal half sees the whole clip."""
    first, *others = decoder.mid_block.resnets
    pairs = zip(decoder.mid_block.attentions, others, strict=False)  # as diffusers runs them: the odd one is skipped
    layers = [first, *chain.from_iterable(pairs)]
    up_blocks: list[Any] = list(decoder.up_blocks)
    for up_block in up_blocks:
        layers += [*up_block.resnets, *(up_block.upsamplers or [])]
    run: list[Callable[[Tensor], Tensor]] = [decoder.conv_in]
    for layer in layers:
        if isinstance(layer, SpatioTemporalResBlock):
            spatial = layer.spatial_res_block
            yield [*run, lambda frame, spatial=spatial: spatial(frame, None)], layer  # type: ignore[misc]
            run = []
        else:
            run.append(layer)


def _apply_temporal(block: SpatioTemporalResBlock, frames: list[Tensor]) -> None:
    """The temporal half of `block`, in place on the list: norm, conv, norm, conv, residual, learned blend."""
    layers = block.temporal_res_block
    first_norm = _clip_norm(layers.norm1, frames)

    def hidden() -> Iterator[Tensor]:
        return _temporal_conv(layers.conv1, map(layers.nonlinearity, map(first_norm, frames)))

    second_norm = _clip_norm(layers.norm2, hidden())
    updates = _temporal_conv(layers.conv2, map(layers.nonlinearity, map(second_norm, hidden())))
    for index, update in enumerate(updates):  # by the time frame i is replaced, the windows have read past it
        frames[index] = block.time_mixer(x_spatial=frames[index], x_temporal=frames[index] + update)


def _clip_norm(norm: nn.GroupNorm, frames: Iterable[Tensor]) -> Callable[[Tensor], Tensor]:
    """GroupNorm with the statistics of all `frames` (each (1, C, h, w)), as a function of one frame."""
    groups = (_widen(frame).reshape(norm.num_groups, -1) for frame in frames)
    statistics = [torch.var_mean(group, dim=1, correction=0) for group in groups]
    variances, means = (torch.stack(values) for values in zip(*statistics, strict=True))
    variance = variances.mean(0) + means.var(0, correction=0)
    inverse = (variance + norm.eps).rsqrt()
    per_group = norm.num_channels // norm.num_groups
    scale = inverse.repeat_interleave(per_group) * norm.weight
    shift = norm.bias - means.mean(0).repeat_interleave(per_group) * scale

    def normed(frame: Tensor) -> Tensor:
        return torch.addcmul(shift[:, None, None], frame, scale[:, None, None]).to(frame.dtype)

    return normed


def _temporal_conv(conv: nn.Conv3d, frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """A (3, 1, 1) convolution over a stream of frames (1, C, h, w), zeros before the first and after the last."""
    frames = iter(frames)
    first = next(frames)
    nothing = torch.zeros_like(first)
    window = deque([nothing, first])
    for frame in chain(frames, [nothing]):
        window.append(frame)
        yield F.conv3d(torch.stack(tuple(window), dim=2), conv.weight, conv.bias).squeeze(2)
        window.popleft()


def _drain(frames: list[Tensor]) -> Iterator[Tensor]:
    """The frames in order, each let go of as it is handed out."""
    while frames:
        yield frames.pop(0)
