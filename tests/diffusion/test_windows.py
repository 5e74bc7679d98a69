"""Windows of a long clip: where they lie, that their weights sum to one, and the denoiser against a plain loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch
from cases import picture

from gen_inbetween.diffusion.edm import Denoised
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.windows.denoiser import WindowedDenoiser
from gen_inbetween.diffusion.windows.layout import (
    check_positions,
    decode_spans,
    kept_keyframes,
    lay_windows,
    window_weights,
)

UNEVEN = ([0, 2, 9, 13], 14)


@pytest.mark.parametrize(
    ("positions", "num_frames", "loop"), [(*UNEVEN, False), ([0, 5], 12, True), ([0, 2, 4], 5, False)]
)
def test_weights_sum_to_one_and_every_inner_keyframe_is_the_middle_of_a_window(positions, num_frames, loop):
    windows = lay_windows(positions, num_frames, loop=loop)
    total = torch.zeros(num_frames, dtype=torch.float64)
    for window, weight in zip(windows, window_weights(windows, positions, num_frames), strict=True):
        assert len(set(window.frames)) == len(window.frames) >= 3 and (weight >= 0).all()
        total[list(window.frames)] += weight
        if window.centred:
            assert weight[window.frames.index(positions[window.keys[1]])] == 1
    torch.testing.assert_close(total, torch.ones(num_frames, dtype=torch.float64))
    inner = len(positions) if loop else len(positions) - 2
    assert sum(window.centred for window in windows) == inner
    assert len(windows) == inner + len(positions) - (0 if loop else 1)


def test_one_segment_is_the_clip_itself():
    assert [window.frames for window in lay_windows([0, 5], 6)] == [(0, 1, 2, 3, 4, 5)]


@dataclass
class Stub:
    """Returns x scaled by its factor, shifted by what it is conditioned on."""

    factor: float
    keyframes: SimpleNamespace
    passes: int = 0
    calls: list = field(default_factory=list)

    def __call__(self, x, sigma):
        self.passes += 1
        z = self.keyframes.image_latents
        return Denoised(self.factor * x + z[0, 1, :, 0].unsqueeze(1) + 2 * z[1, 1, :, 0].unsqueeze(1), 0.5 * x)


@dataclass(frozen=True)
class Conditioned:
    image_latents: torch.Tensor


def limited(estimate, keyframe):
    """(pair, channel, height, width), each channel drawn towards its mean until it varies as the keyframe's at most."""
    out = estimate.clone()
    for channel in range(estimate.shape[1]):
        mean, deviation = estimate[0, channel].mean(), estimate[0, channel].std()
        out[0, channel] = mean + (estimate[0, channel] - mean) * min(1, keyframe[0, channel].std() / deviation)
    return out


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(("positions", "num_frames", "loop"), [(*UNEVEN, False), ([0, 5], 12, True)])
def test_the_denoiser_equals_a_plain_loop(positions, num_frames, loop, flipped):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, num_frames, 2, 3, 3, dtype=torch.float64, generator=generator)
    windows = lay_windows(positions, num_frames, loop=loop)
    weights = window_weights(windows, positions, num_frames)
    latents = [torch.randn(2, 2, 1, 1, 2, 3, 3, dtype=torch.float64, generator=generator) for _ in windows]
    stubs = [Stub(1 + number, Conditioned(z)) for number, z in enumerate(latents)]
    denoise = WindowedDenoiser(stubs, windows, weights, 0.5, flipped=flipped)
    out = denoise(x.flip(1) if flipped else x, torch.tensor(2.0)).guided
    out = out.flip(1) if flipped else out

    marks = [*positions, num_frames] if loop else positions
    middle = {}  # the estimate of the frame half-way along each segment
    wanted = torch.zeros_like(x)
    for frame in range(num_frames):
        for number, (first, last) in enumerate(zip(marks, marks[1:], strict=False)):
            for half in ((last - first) // 2, last - first - (last - first) // 2):
                z = latents[number]
                at = (first + half) % num_frames
                middle[number, first + half] = (1 + number) * x[:, at] + z[0, 1, :, 0] + 2 * z[1, 1, :, 0]
            if not first <= frame <= last:
                continue
            z = latents[number]
            gap, share = last - first, 0.0
            near_first = frame - first < (gap // 2) and (loop or number > 0)
            near_last = last - frame < (gap // 2) and (loop or last != marks[-1])
            share += (1 + math.cos(math.pi * (frame - first) / (gap // 2))) / 2 if near_first else 0
            share += (1 + math.cos(math.pi * (last - frame) / (gap // 2))) / 2 if near_last else 0
            if share < 1:
                value = (1 + number) * x[:, frame] + z[0, 1, :, 0] + 2 * z[1, 1, :, 0]
                wanted[:, frame] += (1 - share) * value
    segments = len(marks) - 1
    for number, window in enumerate(windows[segments:], start=segments):
        key = window.keys[1]
        before, after = (key - 1) % segments, key % segments
        start, stop = (
            marks[before + 1] - (marks[before + 1] - marks[before]) // 2,
            marks[after] + (marks[after + 1] - marks[after]) // 2,
        )
        kept = latents[number][:, 1, :, 0]  # the keyframes beside it: no estimate has more contrast, by channel
        z0, z1 = (limited(middle[each] / 0.5, kept[way]) for way, each in enumerate(((before, start), (after, stop))))
        for frame, weight in zip(window.frames, weights[number].tolist(), strict=True):
            wanted[:, frame] += weight * ((1 + number) * x[:, frame] + z0 + 2 * z1)
    torch.testing.assert_close(out, wanted)
    assert denoise.passes == len(windows)

    early = denoise(x.flip(1) if flipped else x, torch.tensor(100.0)).guided  # the segments alone
    early = early.flip(1) if flipped else early
    wanted, covered = torch.zeros_like(x), [0] * num_frames
    for number, window in enumerate(windows[:segments]):
        z = latents[number]
        for frame in window.frames:
            wanted[:, frame] += (1 + number) * x[:, frame] + z[0, 1, :, 0] + 2 * z[1, 1, :, 0]
            covered[frame] += 1
    torch.testing.assert_close(early, wanted / torch.tensor(covered).reshape(-1, 1, 1, 1))
    assert denoise.passes == len(windows) + segments


@pytest.mark.parametrize(("positions", "num_frames", "loop"), [(*UNEVEN, False), ([0, 5], 12, True), ([0, 4], 6, True)])
def test_spans_to_decode_overlap_and_sum_to_one(positions, num_frames, loop):
    total = torch.zeros(num_frames, dtype=torch.float64)
    for frames, weight in decode_spans(positions, num_frames, loop=loop):
        assert len(set(frames)) == len(frames) and (weight > 0).all()
        total[list(frames)] += weight
    torch.testing.assert_close(total, torch.ones(num_frames, dtype=torch.float64))


def test_inner_keyframes_are_kept_whole_and_outer_ones_as_the_method_does():
    options = {"pin_ends": False, "loop": False}
    assert kept_keyframes([0, 4, 9], 10, {}, **options) == {4: 1.0}
    assert kept_keyframes([0, 4, 9], 10, {0: 0.5, 4: 0.8, 9: 1.0}, **options) == {0: 0.5, 4: 0.8}
    assert kept_keyframes([0, 4, 9], 10, {4: 0.0}, pin_ends=True, loop=False) == {0: 1.0, 9: 1.0}
    assert kept_keyframes([0, 4], 10, {}, pin_ends=False, loop=True) == {0: 1.0, 4: 1.0}


@pytest.mark.parametrize(
    ("method", "inner", "loop", "message"),
    [
        ("svd", [5], False, "svd looks at the first keyframe only"),
        ("gi", [1], False, "frames 0 and 1 are 1 apart in a clip of 12: expected at least 2"),
        ("gi", [5, 10], False, "frames 10 and 11 are 1 apart"),
        ("gi", [], True, "at least one keyframe between"),
    ],
)
def test_positions_that_cannot_be_are_refused(method, inner, loop, message):
    with pytest.raises(ValueError, match=message):
        check_positions(METHODS[method], 12, inner, loop, not loop)


FRAMES = [picture(seed, (24, 16)) for seed in range(3)]


@pytest.fixture(scope="module")
def pipe(tiny_pipe):
    return tiny_pipe(motion="full", num_frames=4)


def run(pipe, **kwargs):
    kwargs = {"num_inference_steps": 2, "output_type": "latent", "generator": torch.Generator().manual_seed(0)} | kwargs
    return pipe(FRAMES[0], **kwargs)


@pytest.mark.parametrize("method", ["gi", "trf", "vibid"])
def test_a_clip_through_three_keyframes(pipe, method):
    """Passes as foretold; the middle latent is the keyframe's own, to the bit; a loop is another clip."""
    several = {"between": {3: FRAMES[1]}, "num_frames": 8, "method": method}
    lengths = set()
    spy = pipe.unet.register_forward_pre_hook(lambda _, args: lengths.add(args[0].shape[1]))
    output = run(pipe, frame1=FRAMES[2], **several)
    spy.remove()
    assert lengths == {4, 5}  # windows one by one, so that memory is the longest one's, however long the clip
    assert output.latents.shape[1] == 8
    once = METHODS[method].unet_passes(SamplerOptions(1))  # the second step of two is below CENTRED_BELOW
    assert output.unet_passes == METHODS[method].unet_passes(SamplerOptions(2), 2, 1)
    assert output.unet_passes == 2 * METHODS[method].unet_passes(SamplerOptions(2)) + once
    from gen_inbetween.diffusion.conditioning import encode_clean, frames_to_tensor

    with torch.no_grad():
        kept = encode_clean(pipe, [frames_to_tensor(FRAMES[1])])[0]
    assert torch.equal(output.latents[:, 3], kept)
    softly = run(pipe, frame1=FRAMES[2], strengths={3: 0.5}, **several).latents
    assert not torch.equal(softly[:, 3], kept) and torch.isfinite(softly).all()
    ring = run(pipe, loop=True, **several)
    assert ring.unet_passes == METHODS[method].unet_passes(SamplerOptions(2), 2, 2)
    assert not torch.equal(ring.latents[:, 7], output.latents[:, 7])


def test_a_long_clip_is_decoded_span_by_span(pipe):
    """Longer than the model's clips: far from a keyframe as a span of its own, and every frame is there."""
    options = {"frame1": FRAMES[2], "between": {4: FRAMES[1]}, "num_frames": 10, "method": "vibid"}
    latents = run(pipe, **options).latents
    frames = run(pipe, output_type="pt", **options).frames
    assert frames.shape[:2] == (1, 10)
    from gen_inbetween.diffusion.decoding.latents import decode_latents

    alone = decode_latents(pipe.vae, latents[:, :7]).transpose(1, 2)
    alone = pipe.video_processor.postprocess_video(alone, output_type="pt")
    torch.testing.assert_close(frames[:, :2], alone[:, :2])


def test_a_draft_is_where_it_starts(pipe):
    draft = torch.randn(1, 4, 4, 8, 12, generator=torch.Generator().manual_seed(3))
    common = {"frame1": FRAMES[1], "method": "vibid", "num_inference_steps": 10}
    near, far = (run(pipe, draft=draft, draft_strength=strength, **common) for strength in (0.1, 0.9))
    assert near.unet_passes == METHODS["vibid"].unet_passes(SamplerOptions(10, draft_strength=0.1)) == 4
    assert far.unet_passes == 36 and near.options.draft_strength == 0.1
    inner = slice(1, 3)
    assert (near.latents - draft)[:, inner].abs().mean() < 0.3 * (far.latents - draft)[:, inner].abs().mean()
    with pytest.raises(ValueError, match="draft_strength 0.5: expected a draft"):
        run(pipe, draft_strength=0.5, **common)
    with pytest.raises(ValueError, match="a draft or start_sigma, got both"):
        run(pipe, draft=draft, start_sigma=50.0, **common)


def test_a_lower_start_begins_at_the_keyframes_mean(pipe):
    seen = []

    def watch(pipe, step, timestep, tensors):
        seen.append(math.exp(4 * float(timestep)))
        return {}

    output = run(pipe, frame1=FRAMES[1], method="trf", start_sigma=80.0, callback_on_step_end=watch)
    assert seen[0] == pytest.approx(80, rel=1e-3) and output.options.start_sigma == 80
    assert output.unet_passes == METHODS["trf"].unet_passes(SamplerOptions(2))
    with pytest.raises(ValueError, match="start_sigma above 0.002 and at most 700, got 900"):
        run(pipe, frame1=FRAMES[1], start_sigma=900.0)
