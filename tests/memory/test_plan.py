"""The planner's figures are those of real tensors and of the full-size model, and its choices follow from them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gen_inbetween.diffusion.decoding.latents import decode_latents
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.motion import set_direction, temporal_self_attentions
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.memory import kept_footprints
from gen_inbetween.memory.apply import apply_memory_options, current_offload, device_memory_gb
from gen_inbetween.memory.counter import counted
from gen_inbetween.memory.cross_attention import ConstantCrossAttnProcessor, cross_attentions
from gen_inbetween.memory.footprint import (
    META,
    build,
    count_decode,
    count_image_encoder,
    count_pass,
    count_unet,
    unet_inputs,
)
from gen_inbetween.memory.forward_chunks import set_forward_chunking
from gen_inbetween.memory.options import MemoryOptions
from gen_inbetween.memory.plan import VRAM_SIZES, Plan, forward_chunk, plan, split_clip
from gen_inbetween.models.configs import SVD_IMAGE_ENCODER, SVD_UNET, SVD_VAE, SVD_XT, ModelConfigs, open_configs
from gen_inbetween.runtime.messages import warn_once

HALF = torch.float16
LATENT = (25, 72, 128)  # frames, height, width of SVD-XT's native clip


def exact(split: bool = False, offload: str = "none", chunk: int = 0) -> MemoryOptions:
    return MemoryOptions(split_guidance=split, offload=offload, forward_chunking=chunk, decode="streamed")


@pytest.fixture(scope="module")
def svd_xt_plan() -> Plan:
    return plan(SVD_XT, method="gi", vram_gb=16, options=SamplerOptions(preset="published"))


def test_what_step_cache_skips_is_counted() -> None:
    """Every second pass over the outermost level alone: 0.42 of the FLOPs of a whole one."""
    options = SamplerOptions(num_inference_steps=17, noise_schedule="karras")
    whole, cached = (plan(SVD_XT, method="gi", options=replace(options, step_cache=every)) for every in (1, 2))
    assert cached.passes == whole.passes and cached.outer == pytest.approx(12 / 25)
    decode = whole.workload.decode("streamed").flops
    assert (cached.flops - decode) / (whole.flops - decode) == pytest.approx(13 / 25 + 12 / 25 * 0.42, abs=0.02)


def test_full_size_unet_has_the_published_counts() -> None:
    from diffusers import UNetSpatioTemporalConditionModel

    unet = build(UNetSpatioTemporalConditionModel, json.dumps(SVD_UNET), HALF)
    assert sum(weight.numel() for weight in unet.parameters()) == 1_524_623_082
    layers = temporal_self_attentions(unet).values()
    tuned = [weight for attn in layers for weight in (attn.to_v.weight, attn.to_out[0].weight, attn.to_out[0].bias)]
    assert len(layers) == 16 and len(tuned) == 48
    assert sum(weight.numel() for weight in tuned) == 24_793_280
    stock = count_pass(unet, unet_inputs(unet, 1, *LATENT))  # with stock attention and stock cross-attention
    assert stock.flops == pytest.approx(79.95e12, rel=1e-4)
    assert stock.peak == pytest.approx(3.98e9, rel=1e-3)


def test_full_size_parts_have_the_published_counts() -> None:
    from diffusers import AutoencoderKLTemporalDecoder

    vae = build(AutoencoderKLTemporalDecoder, json.dumps(SVD_VAE), HALF)
    assert sum(weight.numel() for weight in vae.encoder.parameters()) == 34_163_592
    assert sum(weight.numel() for weight in vae.decoder.parameters()) == 63_579_183
    at_once = count_decode(json.dumps(SVD_VAE), HALF, *LATENT, "all")
    assert at_once.flops == pytest.approx(173.6e12, rel=1e-3)
    assert at_once.activations == pytest.approx(30.2e9, rel=1e-3)
    clip = count_image_encoder(json.dumps(SVD_IMAGE_ENCODER), HALF)
    assert clip.weights == 2 * 632_076_800
    assert clip.flops == pytest.approx(0.335e12, rel=2e-3)


def test_full_size_run(svd_xt_plan: Plan) -> None:
    """The paper's run: 175 evaluations of 4 clips. Split guidance halves the activations, chunks take another 44 %."""
    workload = svd_xt_plan.workload
    assert (svd_xt_plan.passes, svd_xt_plan.clips) == (700, 4)
    together, split, chunked = workload.unet(4), workload.unet(2), workload.unet(2, chunk=5)
    assert together.activations == pytest.approx(16.02e9, rel=1e-3)
    assert split.activations == pytest.approx(8.01e9, rel=1e-3)
    assert chunked.activations == pytest.approx(4.47e9, rel=1e-2)
    assert together.flops == 2 * split.flops == 2 * chunked.flops == pytest.approx(308.2e12, rel=1e-3)
    assert together.weights == 2 * (1_524_623_082 + 24_793_280 - 10_880 - 1_600)  # a full update has no bias
    streamed = workload.decode("streamed")
    assert streamed.activations == pytest.approx(6.04e9, rel=1e-2)
    assert streamed.flops == pytest.approx(1.086 * 173.6e12, rel=1e-3)
    assert svd_xt_plan.flops == 700 // 4 * together.flops + streamed.flops


def test_full_size_fits(svd_xt_plan: Plan) -> None:
    chosen = {size: svd_xt_plan.candidate_for(size) for size in VRAM_SIZES}
    assert {size: candidate and candidate.options for size, candidate in chosen.items()} == {
        8: exact(True, "group", 5),
        12: exact(True, "none", 5),
        16: exact(True),
        24: exact(),
        48: exact(),
        80: exact(),
    }
    assert svd_xt_plan.memory == exact(True) and svd_xt_plan.fits
    table = str(svd_xt_plan)
    assert "for 16 GB: guidance split, decode streamed: 13.8" in table
    assert "inexact" in table and "PFLOP" in table


def build_configs(tiny_pipe: Callable) -> ModelConfigs:
    pipe = tiny_pipe()
    unet, vae = (json.dumps(dict(part.config)) for part in (pipe.unet, pipe.vae))
    return ModelConfigs("tiny", unet, vae, pipe.image_encoder.config.to_json_string(), 48, 32, 6)


@pytest.mark.parametrize(
    ("batch", "chunk", "rotated"), [(1, 0, False), (4, 2, False), (2, 0, True), (4, 0, True), (4, 2, True)]
)
def test_counted_is_measured_unet(tiny_pipe: Callable, batch: int, chunk: int, rotated: bool) -> None:
    """The same pass on real tensors allocates the same bytes at its peak and does the same FLOPs."""
    pipe = tiny_pipe(motion="full" if rotated else None)
    set_direction(pipe.unet, "both" if rotated else "forward")
    apply_memory_options(pipe, exact(chunk=chunk), "cpu")
    measured = count_pass(pipe.unet, unet_inputs(pipe.unet, batch, 6, 16, 24))
    config = json.dumps(dict(pipe.unet.config))
    predicted = count_unet(config, torch.float32, batch, 6, 16, 24, rotated, chunk)
    assert (predicted.activations, predicted.flops) == (measured.peak, measured.flops)
    assert predicted.weights == sum(weight.nbytes for weight in pipe.unet.parameters())


@pytest.mark.parametrize("mode", ["streamed", "all", "chunked"])
def test_counted_is_measured_decode(tiny_pipe: Callable, mode: str) -> None:
    vae, latents = tiny_pipe().vae, torch.zeros(1, 11, 4, 8, 12)
    with counted() as measured:
        decode_latents(vae, latents, mode=mode)
    predicted = count_decode(json.dumps(dict(vae.config)), torch.float32, 11, 8, 12, mode)
    assert (predicted.activations, predicted.flops) == (measured.peak, measured.flops)


def test_counter_follows_lifetimes() -> None:
    """4 kB come and go; a view and an in-place result are not new, what was there before is not counted."""
    given = torch.zeros(1000)
    with counted() as cost:
        kept = given + 1
        kept.view(10, 100).mul_(2)
        assert (cost.live, cost.peak) == (4000, 4000)
        temporary = kept * 2
        assert cost.peak == 8000
        del temporary
        assert cost.live == 4000
        given.t()
        assert cost.live == 4000
        kept.view(10, 100) @ kept.view(100, 10)
    assert cost.flops == 2 * 10 * 100 * 10


def test_more_memory_never_needs_a_slower_candidate(tiny_pipe: Callable) -> None:
    for method in ("gi", "trf", "vibid", "svd"):
        planned = plan(build_configs(tiny_pipe), method=method)
        candidates = list(planned.candidates)
        peaks = [candidate.peak / 1e9 for candidate in candidates]
        ranks = []
        for gb in sorted([0.5 * min(peaks), *peaks, 2 * max(peaks)]):
            candidate = planned.candidate_for(gb)
            ranks.append(len(candidates) if candidate is None else candidates.index(candidate))
        assert ranks == sorted(ranks, reverse=True)
        assert ranks[0] == len(candidates) and ranks[-1] == 0
        assert all(candidate.options.decode == "streamed" for candidate in candidates)


def test_a_run_that_fits_nowhere_gets_the_most_frugal_candidate_and_says_so(tiny_pipe: Callable) -> None:
    planned = plan(build_configs(tiny_pipe), vram_gb=1e-6)
    assert not planned.fits
    assert planned.memory == planned.candidates[-1].options == exact(True, "group", 1)
    assert "DOES NOT FIT" in str(planned)


def test_unguided_runs_have_no_halves_to_split(tiny_pipe: Callable) -> None:
    planned = plan(
        build_configs(tiny_pipe), method="svd", options=SamplerOptions(min_guidance_scale=1.0, max_guidance_scale=1.0)
    )
    assert (planned.passes, planned.clips) == (25, 1)
    assert not any(candidate.options.split_guidance for candidate in planned.candidates)


def test_sequential_method_has_two_clips_at_once(tiny_pipe: Callable) -> None:
    assert plan(build_configs(tiny_pipe), method="vibid").clips == 2
    assert plan(build_configs(tiny_pipe), method="trf").clips == 4


@pytest.mark.parametrize(("num_frames", "chunk"), [(25, 5), (14, 2), (16, 4), (7, 1), (3, 0)])
def test_chunks_divide_the_frames(num_frames: int, chunk: int) -> None:
    assert forward_chunk(num_frames) == chunk


def test_a_size_off_the_grid_is_refused(tiny_pipe: Callable) -> None:
    with pytest.raises(ValueError, match="width 47 is not a multiple of 4, as this model needs; take 44 or 48"):
        plan(build_configs(tiny_pipe), width=47)


def test_configs_of_a_folder_and_of_a_name(tiny_folder: Path) -> None:
    from gen_inbetween.models.registry import MODELS

    configs = open_configs(tiny_folder)
    assert json.loads(configs.unet)["num_frames"] == configs.num_frames == 6
    assert configs.latent_factor == 2
    assert open_configs(configs) is configs
    svd = open_configs(MODELS["svd"])
    assert (svd.width, svd.height, svd.num_frames, svd.latent_factor) == (1024, 576, 14, 8)


def test_lengths_and_sizes_name_the_way_out(caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    with pytest.raises(ValueError, match="width 1000 .*; take 960 or 1024"):
        SVD_XT.check_size(1000, 576)
    with pytest.raises(ValueError, match="height 8 .*; take 64$"):
        SVD_XT.check_size(64, 8)
    with pytest.raises(ValueError, match="does 3 to 50"):
        SVD_XT.check_length(51)
    with caplog.at_level(logging.WARNING, logger="gen_inbetween"):
        SVD_XT.check_length(25)
        assert not caplog.messages
        SVD_XT.check_length(14)
    assert "trained on 25" in caplog.text


@pytest.mark.parametrize("positions", [None, [0, 60]])
def test_a_plan_for_more_frames_than_the_model_does_is_refused(positions: list[int] | None) -> None:
    with pytest.raises(ValueError, match="num_frames 61: .*does 3 to 50"):
        split_clip(SVD_XT, positions, 61, loop=False)


def test_options_out_of_range_are_refused() -> None:
    for options in ({"offload": "disk"}, {"kernel": "flash"}, {"decode_chunk_size": 0}, {"forward_chunking": -1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            MemoryOptions(**options)


def test_memory_options_change_nothing_but_the_cost(tiny_pipe: Callable) -> None:
    """Applied, changed and taken back, on a CPU where group offload works too."""
    pipe = tiny_pipe()
    generator = torch.Generator().manual_seed(0)
    inputs = {
        name: torch.randn(value.shape, generator=generator)
        for name, value in unet_inputs(pipe.unet, 2, 6, 8, 8).items()
    }
    with torch.no_grad():
        stock = pipe.unet(**inputs).sample
        for options in (exact(), exact(False, "model", 3), exact(), exact(True, "group", 2), exact()):
            apply_memory_options(pipe, options, "cpu")
            torch.testing.assert_close(pipe.unet(**inputs).sample, stock, rtol=0, atol=1e-5)
    assert all(isinstance(attn.processor, ConstantCrossAttnProcessor) for attn in cross_attentions(pipe.unet).values())
    assert current_offload(pipe) == "group"  # diffusers cannot take that back
    latents = inputs["sample"][:, :, :4]
    assert decode_latents(pipe.vae, latents).shape == (2, 6, 3, 16, 16)  # the VAE is not among the offloaded


def test_chunks_save_memory_only_while_they_are_on(tiny_pipe: Callable) -> None:
    unet = tiny_pipe().unet
    inputs = unet_inputs(unet, 1, 6, 16, 16)
    whole = count_pass(unet, inputs)
    set_forward_chunking(unet, 1)
    chunked = count_pass(unet, inputs)
    set_forward_chunking(unet, 0)
    assert chunked.peak < whole.peak == count_pass(unet, inputs).peak


def test_the_memory_of_this_machine_is_what_the_system_says_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"SC_AVPHYS_PAGES": 3_000_000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", said.__getitem__, raising=False)
    assert device_memory_gb("cpu") == 12.288

    def unknown(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown, raising=False)
    assert device_memory_gb("cpu") is None


def test_nothing_is_allocated() -> None:
    from diffusers import UNetSpatioTemporalConditionModel

    unet = build(UNetSpatioTemporalConditionModel, json.dumps(SVD_UNET), HALF)
    assert all(tensor.device == META for tensor in unet.state_dict().values())


def test_figures_in_the_package_are_those_counted_now() -> None:
    """Two of them: the others take minutes (`python eval/count_footprints.py`)."""
    clip = json.dumps(SVD_IMAGE_ENCODER)
    assert kept_footprints.footprint("image_encoder", clip, HALF) == kept_footprints.count("image_encoder", clip, HALF)
    unet = (json.dumps(SVD_UNET), HALF, 2, 25, 72, 128, True, 5)
    assert kept_footprints.footprint("unet", *unet) == kept_footprints.count("unet", *unet)


@pytest.mark.parametrize("model", ["svd-xt", "svd"])
@pytest.mark.parametrize("method", list(METHODS))
def test_plans_of_svd_count_nothing(model: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("counted")

    monkeypatch.setattr(kept_footprints, "count", refuse)
    assert "exact options, fastest first" in str(plan(model, method=method))


def test_a_published_configuration_and_ours_are_one() -> None:
    published = {
        "_class_name": "UNetSpatioTemporalConditionModel", "_diffusers_version": "0.24.0.dev0", **SVD_UNET,
        "down_block_types": [*["CrossAttnDownBlockSpatioTemporal"] * 3, "DownBlockSpatioTemporal"],
        "up_block_types": ["UpBlockSpatioTemporal", *["CrossAttnUpBlockSpatioTemporal"] * 3], "sample_size": 96,
    }  # fmt: skip
    key = kept_footprints.footprint_key("unet", json.dumps(SVD_UNET), HALF, 2)
    assert kept_footprints.footprint_key("unet", json.dumps(published | {"num_frames": 14}), HALF, 2) == key
    assert kept_footprints.footprint_key("unet", json.dumps(published | {"in_channels": 9}), HALF, 2) != key
    assert kept_footprints.footprint_key("unet", json.dumps(published), HALF, 4) != key
    vae = {**SVD_VAE, "in_channels": 3, "out_channels": 3, "sample_size": 768, "scaling_factor": 0.18215}
    key = kept_footprints.footprint_key("encode", json.dumps(SVD_VAE), HALF, 8, 8)
    assert kept_footprints.footprint_key("encode", json.dumps(vae), HALF, 8, 8) == key


def test_what_was_counted_is_kept_until_the_code_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clip = json.dumps({**SVD_IMAGE_ENCODER, "num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2})
    calls = []
    count = kept_footprints.count
    monkeypatch.setattr(kept_footprints, "count", lambda *given: calls.append(given) or count(*given))
    for forget in (True, True, False):
        first = kept_footprints.footprint("image_encoder", clip, HALF)
        if forget:
            kept_footprints.forget()
    assert len(calls) == 1 and first == count("image_encoder", clip, HALF)
    monkeypatch.setattr(kept_footprints, "PACKAGES", ("torch",))  # another state of the packages
    kept_footprints.forget()
    kept_footprints.footprint("image_encoder", clip, HALF)
    assert len(calls) == 2 and len(list((tmp_path / "gen_inbetween").glob("footprints-*.json"))) == 2


def test_a_loop_is_planned_by_its_keyframes() -> None:
    """Without them it was counted as a clip between two, twice."""
    with pytest.raises(ValueError, match=r"positions of its keyframes, \[0\] for a single one"):
        plan("pocket-2", loop=True)
