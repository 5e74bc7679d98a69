"""The pipeline as a user and as diffusers sees it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from cases import picture
from diffusers import StableVideoDiffusionPipeline
from diffusers.callbacks import PipelineCallback
from diffusers.schedulers import AysSchedules
from PIL import Image

from gen_inbetween.diffusion.checkpoints import save_motion
from gen_inbetween.diffusion.decoding.latents import decode_latents
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.motion import (
    has_backward_motion,
    motion_state_dict,
    remove_backward_motion,
    temporal_self_attentions,
)
from gen_inbetween.diffusion.motion_files import MissingMotionError
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.runtime import messages
from gen_inbetween.runtime.hub import MOTION_FILE, ModelError

SIZE = (24, 16)  # width, height
FRAME0, FRAME1 = picture(0, SIZE), picture(1, SIZE)


@pytest.fixture(scope="module")
def pipe(tiny_pipe):
    return tiny_pipe(motion="full", num_frames=4)


def run(pipe, *, seed=0, steps=2, **kwargs):
    kwargs = {"frame0": FRAME0, "frame1": FRAME1, "output_type": "latent", "num_inference_steps": steps} | kwargs
    return pipe(generator=torch.Generator().manual_seed(seed), **kwargs)


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        ("karras", {"num_inference_steps": 10}),
        ("ays", {"sigmas": AysSchedules["StableDiffusionVideoSigmas"]}),
    ],
)
def test_svd_equals_the_stock_pipeline(pipe, schedule, theirs):
    """Same generator: the noise on the frame and the latents are drawn in the same order."""
    stock = StableVideoDiffusionPipeline(**pipe.components)
    stock.set_progress_bar_config(disable=True)
    conditioning = {"fps": 9, "motion_bucket_id": 60, "noise_aug_strength": 0.1}
    generator = torch.Generator().manual_seed(0)
    wanted = stock(
        FRAME0, height=16, width=24, generator=generator, output_type="latent", **conditioning, **theirs
    ).frames
    ours = run(pipe, method="svd", steps=10, frame1=None, noise_schedule=schedule, **conditioning)
    torch.testing.assert_close(ours.latents, wanted, rtol=0, atol=2e-5)
    assert ours.unet_passes == 20


@pytest.mark.parametrize("method", METHODS)
def test_passes_are_those_foretold(pipe, method):
    seen = []
    spy = pipe.unet.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    options = {"renoise_ratio": 0.7} if METHODS[method].defaults.renoise_ratio else {}
    chosen = SamplerOptions(num_inference_steps=3, **options)
    output = run(pipe, method=method, steps=3, **options)
    spy.remove()
    assert sum(seen) == output.unet_passes == METHODS[method].unet_passes(chosen)
    assert output.options == METHODS[method].resolve(chosen)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_is_the_clip(pipe, method):
    options = {"renoise_steps": 1, "renoise_ratio": 0.5} if method == "gi" else {}
    torch.manual_seed(1)  # the global generator must play no part
    first = run(pipe, method=method, **options).latents
    torch.manual_seed(2)
    assert torch.equal(first, run(pipe, method=method, **options).latents)
    assert not torch.equal(first, run(pipe, method=method, seed=1, **options).latents)


def test_guidance_in_two_passes_makes_the_same_clip(pipe):
    whole, split = (run(pipe, method="gi", renoise_steps=0, split_guidance=split) for split in (False, True))
    torch.testing.assert_close(split.latents, whole.latents, rtol=0, atol=1e-5)
    assert split.unet_passes == whole.unet_passes


def test_a_generator_for_each_pair_makes_the_clips_of_single_runs(pipe):
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    options = {"method": "gi", "num_inference_steps": 2, "renoise_steps": 1, "output_type": "latent"}
    both = pipe([FRAME0, FRAME1], [FRAME1, FRAME0], generator=generators, **options).latents
    second = pipe(FRAME1, FRAME0, generator=torch.Generator().manual_seed(6), **options).latents
    torch.testing.assert_close(both[1:], second, rtol=0, atol=1e-5)


def test_several_clips_of_one_pair(pipe):
    options = {"method": "gi", "num_inference_steps": 2, "renoise_steps": 1, "output_type": "latent"}
    singles = [run(pipe, seed=seed, **options).latents for seed in (5, 6)]
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    output = pipe(FRAME0, FRAME1, generator=generators, **options)
    torch.testing.assert_close(output.latents, torch.cat(singles), rtol=0, atol=1e-5)
    assert output.unet_passes == 2 * METHODS["gi"].unet_passes(output.options)
    several = run(pipe, num_videos_per_prompt=3, output_type="pil")
    assert len(several.frames) == 3 and several.frames[0][1] != several.frames[1][1]
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6, 5, 6)]
    both = pipe([FRAME0, FRAME1], [FRAME1, FRAME0], generator=generators, **options).latents  # pair by pair
    torch.testing.assert_close(both[:2], output.latents, rtol=0, atol=1e-5)


def test_arrays_and_tensors_make_the_same_clip(pipe):
    wanted = run(pipe).latents
    arrays = [np.asarray(image) for image in (FRAME0, FRAME1)]
    assert torch.equal(run(pipe, frame0=arrays[0], frame1=arrays[1]).latents, wanted)
    tensors = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays]
    assert torch.equal(run(pipe, frame0=tensors[0], frame1=tensors[1]).latents, wanted)


def test_options_come_as_one_object_or_one_by_one(pipe):
    options = SamplerOptions(renoise_steps=1, fusion="linear")
    together = pipe(FRAME0, FRAME1, options=options, num_inference_steps=2, output_type="latent").options
    assert together == METHODS["gi"].resolve(SamplerOptions(2, renoise_steps=1, fusion="linear"))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"image": FRAME0}, "no keyword 'image'; the keyframes are frame0 and frame1"),
        ({"sigmas": [1.0]}, "no keyword 'sigmas'; noise levels are the scheduler's own"),
        ({"num_inference_step": 2}, "did you mean num_inference_steps"),
        ({"prompt": "a cat"}, "the sampler's are num_inference_steps, "),
        ({"frame1": FRAME1}, "expected frame0"),
    ],
)
def test_keywords_of_other_pipelines(pipe, keywords, message):
    with pytest.raises(TypeError, match=message):
        pipe(**keywords)


def test_a_chunk_size_alone_decodes_in_chunks_and_says_so_once(pipe, caplog):
    messages.warn_once.cache_clear()
    wanted = run(pipe, output_type="pt", decode="chunked", decode_chunk_size=2).frames
    with caplog.at_level("WARNING", logger="gen_inbetween"):
        for _ in range(2):
            assert torch.equal(run(pipe, output_type="pt", decode_chunk_size=2).frames, wanted)
    assert [message.split(":")[0] for message in caplog.messages] == ["decode_chunk_size=2"]
    assert not torch.equal(run(pipe, output_type="pt").frames, wanted)
    with pytest.raises(ValueError, match="chunk_size=2 with mode 'all'"):
        run(pipe, output_type="pt", decode="all", decode_chunk_size=2)


def test_the_method_follows_the_motion(tiny_pipe, caplog):
    messages.warn_once.cache_clear()
    pipe = tiny_pipe(motion="full", num_frames=4)
    assert torch.equal(run(pipe).latents, run(pipe, method="gi").latents)
    pipe.unload_motion()
    with caplog.at_level("WARNING", logger="gen_inbetween"):
        assert torch.equal(run(pipe).latents, run(pipe, method="trf").latents)
    assert "method trf: the model has no backward motion loaded" in caplog.text


def test_a_named_model_is_opened_with_its_motion(tiny_folder, tiny_pipe, monkeypatch, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "svd-xt")
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path))
    assert InbetweenPipeline.from_pretrained("svd-xt").motion is None
    save_motion(tiny_pipe(motion="lora").unet, tmp_path / "svd-xt" / MOTION_FILE, {"base_model": "tiny"})
    assert InbetweenPipeline.from_pretrained("svd-xt").motion.rank == 4
    with pytest.raises(
        ModelError, match="unknown model 'svd_xt': expected svd-xt, svd, svd-xt-1.1, pocket-2, a folder"
    ):
        InbetweenPipeline.from_pretrained("svd_xt")


def test_the_bundled_model_is_opened_by_its_name():
    pipe = InbetweenPipeline.from_pretrained("pocket-2")
    assert pipe.motion is not None and has_backward_motion(pipe.unet)


def test_a_folder_with_half_precision_weights_alone_needs_no_variant(tiny_pipe, tmp_path):
    tiny_pipe().save_pretrained(tmp_path, variant="fp16")
    assert InbetweenPipeline.from_pretrained(tmp_path).unet.config.num_frames == 6


def test_motion_comes_goes_and_is_weighed(tiny_pipe, tmp_path):
    file = tmp_path / MOTION_FILE
    tuned = tiny_pipe(motion="full", num_frames=4)
    save_motion(tuned.unet, file, {"base_model": "tiny"}, dtype=torch.float32)
    pipe = tiny_pipe(num_frames=4)
    stock = run(pipe, method="trf").latents
    pipe.load_motion(file)
    assert pipe.motion_scale == 1 and torch.equal(run(pipe).latents, run(tuned).latents)
    pipe.load_motion(file, motion_scale=0.5)
    assert pipe.motion_scale == 0.5
    half = run(pipe).latents
    pipe.motion_scale = 1
    for attn in temporal_self_attentions(pipe.unet).values():
        attn.processor.update_v.weight.data *= 0.5
        attn.processor.update_out.weight.data *= 0.5
    torch.testing.assert_close(run(pipe).latents, half, rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="motion_scale as a finite number, got nan"):
        pipe.motion_scale = float("nan")
    pipe.unload_motion()
    assert pipe.motion is None and torch.equal(run(pipe, method="trf").latents, stock)


def test_given_latents_are_started_from(pipe):
    noise = torch.randn(1, 4, 4, 8, 12, generator=torch.Generator().manual_seed(9))
    given = {"method": "trf", "latents": noise, "noise_aug_strength": 0.0, "renoise_steps": 0}
    assert torch.equal(run(pipe, seed=0, **given).latents, run(pipe, seed=1, **given).latents)


def test_pinned_ends_hold_the_clean_keyframes(pipe):
    latents = run(pipe, method="trf", pin_ends=True).latents
    for frame, image in ((0, FRAME0), (-1, FRAME1)):
        pixels = pipe.video_processor.preprocess(image)
        with torch.no_grad():
            clean = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor
        torch.testing.assert_close(latents[:, frame], clean, rtol=0, atol=1e-5)


def test_cfg_plus_plus_is_an_option_of_the_fused_methods(pipe):
    options = {"method": "gi", "renoise_steps": 0, "max_guidance_scale": 1.0}
    euler, plus_plus = (run(pipe, cfg_plus_plus=value, **options) for value in (False, True))
    assert (euler.unet_passes, plus_plus.unet_passes) == (4, 8)
    assert not torch.allclose(euler.latents, plus_plus.latents)


def test_output_types(pipe):
    def frames(output_type):
        return run(pipe, method="svd", output_type=output_type).frames

    pil, array, tensor, latents = (frames(output_type) for output_type in ("pil", "np", "pt", "latent"))
    assert len(pil[0]) == 4 and isinstance(pil[0][0], Image.Image) and pil[0][0].size == SIZE
    assert isinstance(array, np.ndarray) and array.shape == (1, 4, 16, 24, 3) and 0 <= array.min() <= array.max() <= 1
    assert tensor.shape == (1, 4, 3, 16, 24)
    np.testing.assert_allclose(tensor.permute(0, 1, 3, 4, 2).numpy(), array)
    np.testing.assert_allclose(np.asarray(pil[0][1]), array[0, 1] * 255, atol=0.51)
    assert latents.shape == (1, 4, 4, 8, 12) and latents.dtype == torch.float32


def test_tuple_instead_of_output(pipe):
    frames, latents, unet_passes, options = run(pipe, method="svd", return_dict=False)
    assert frames is latents and unet_passes == 4 and options.num_inference_steps == 2


def test_a_callback_sees_the_denoised_clip(pipe):
    seen = []

    def on_step(of, step, timestep, tensors):
        seen.append(tensors)
        return {}

    latents = run(pipe, steps=3, callback_on_step_end=on_step, callback_on_step_end_tensor_inputs=["denoised"]).latents
    assert all(tensors.keys() == {"denoised"} for tensors in seen)
    torch.testing.assert_close(seen[-1]["denoised"], latents)  # the last step goes to sigma = 0
    frames = decode_latents(pipe.vae, seen[0]["denoised"], mode="preview")
    assert frames.shape == (1, 4, 3, 16, 24)


def test_a_callback_of_diffusers_names_its_tensors_itself(pipe):
    class Zero(PipelineCallback):
        tensor_inputs = ["latents", "denoised"]

        def callback_fn(self, pipeline, step_index, timesteps, callback_kwargs):
            return {"latents": callback_kwargs["denoised"] * 0}

    assert not run(pipe, callback_on_step_end=Zero()).latents.any()


def test_a_callback_may_end_the_run(pipe):
    def stop(of, step, timestep, tensors):
        of.interrupt = step == 1
        return {}

    ended = run(pipe, method="svd", steps=5, callback_on_step_end=stop)
    assert ended.unet_passes == 4 and pipe.interrupt and len(ended.frames) == 1
    assert run(pipe, method="svd", steps=5).unet_passes == 10 and not pipe.interrupt  # the next run is whole again


def test_guidance_answers_as_in_diffusers(tiny_pipe):
    pipe = tiny_pipe(num_frames=4)
    assert pipe.guidance_scale == 1 and not pipe.do_classifier_free_guidance
    run(pipe, method="svd")
    assert pipe.guidance_scale.shape == (1, 4, 1, 1, 1) and pipe.do_classifier_free_guidance
    torch.testing.assert_close(pipe.guidance_scale.flatten(), torch.linspace(1, 3, 4))
    run(pipe, method="svd", max_guidance_scale=1.0)
    assert not pipe.do_classifier_free_guidance


def test_a_run_that_is_broken_off_gives_the_device_back(pipe, monkeypatch):
    freed = []
    monkeypatch.setattr(InbetweenPipeline, "maybe_free_model_hooks", lambda self: freed.append(self))

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(pipe, method="svd", callback_on_step_end=stop)
    assert freed == [pipe]
    run(pipe, method="svd")
    assert freed == [pipe, pipe]


def test_callback_sees_and_changes_every_step(pipe):
    seen = []

    def on_step(of, step, timestep, tensors):
        assert of is pipe
        seen.append((step, round(timestep.item(), 3)))
        return {"latents": tensors["latents"] * 0} if step == 2 else {}

    options = {"noise_schedule": "karras", "renoise_steps": 1, "renoise_ratio": 0.5}
    output = run(pipe, method="gi", callback_on_step_end=on_step, **options)
    assert seen == [(0, 1.638), (1, 1.638), (2, -1.554)]  # log(700) / 4 twice, the repeat counted, and log(0.002) / 4
    assert not output.latents.any() and pipe.num_timesteps == 3


def test_progress_bar_counts_every_step(pipe, capsys):
    pipe.set_progress_bar_config(disable=False)
    run(pipe, method="gi", renoise_steps=1, renoise_ratio=0.5)
    pipe.set_progress_bar_config(disable=True)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.skipif(
    torch.version.cuda is not None and not torch.cuda.is_available(), reason="diffusers asks CUDA's torch for its card"
)
@pytest.mark.parametrize("offload", ["model", "leaf_level", "block_level"])
def test_offloading_changes_no_bit(tiny_pipe, offload):
    pipe = tiny_pipe(motion="full", num_frames=4)
    options = {"method": "gi", "renoise_steps": 1, "output_type": "pt"}
    plain = run(pipe, **options)
    if offload == "model":
        pipe.enable_model_cpu_offload(device="cpu")
    else:
        blocks = 1 if offload == "block_level" else None
        pipe.enable_group_offload(torch.device("cpu"), offload_type=offload, num_blocks_per_group=blocks)
    again = run(pipe, **options)
    assert torch.equal(again.latents, plain.latents) and torch.equal(again.frames, plain.frames)


def test_half_precision_keeps_the_clip_in_float32(tiny_pipe):
    single = run(tiny_pipe(motion="full", num_frames=4), method="gi", renoise_steps=0).latents
    pipe = tiny_pipe(motion="full", num_frames=4).to(torch.bfloat16)
    half = run(pipe, method="gi", renoise_steps=0).latents
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, single, rtol=0, atol=0.1)  # the noise is the same at every precision


def test_other_latent_channels_and_lengths(tiny_pipe):
    pipe = tiny_pipe(motion="lora", latent_channels=8, num_frames=4)
    assert run(pipe, method="gi", num_frames=5, renoise_steps=0).latents.shape == (1, 5, 8, 8, 12)


def test_saving_writes_the_base_and_the_motion_beside_it(pipe, tmp_path):
    state = motion_state_dict(pipe.unet)
    pipe.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "model_index.json").read_text())["_class_name"] == "StableVideoDiffusionPipeline"
    assert all(torch.equal(state[name], value) for name, value in motion_state_dict(pipe.unet).items())
    without = InbetweenPipeline.from_pretrained(tmp_path, motion=None)
    stock = StableVideoDiffusionPipeline.from_pretrained(tmp_path)
    assert without.motion is None and not has_backward_motion(without.unet)
    assert set(without.unet.state_dict()) == set(stock.unet.state_dict())
    again = InbetweenPipeline.from_pretrained(tmp_path)
    assert all(torch.equal(state[name], value) for name, value in motion_state_dict(again.unet).items())
    again.set_progress_bar_config(disable=True)
    assert torch.equal(run(again, method="gi").latents, run(pipe, method="gi").latents)
    again.save_pretrained(tmp_path / "twice")
    assert InbetweenPipeline.from_pretrained(tmp_path / "twice").motion.sha256 == again.motion.sha256


def test_gi_without_motion_says_where_to_get_one(tiny_pipe, tmp_path):
    with pytest.raises(MissingMotionError, match="give that file as motion, or to `pipe.load_motion`.*need none"):
        run(tiny_pipe(), method="gi")
    tiny_pipe(motion="full").save_pretrained(tmp_path)
    pipe = InbetweenPipeline.from_pretrained(tmp_path, motion=None)
    with pytest.raises(MissingMotionError, match=rf"beside it: `pipe.load_motion\('{tmp_path / MOTION_FILE}'\)`"):
        run(pipe, method="gi")


def test_a_motion_that_was_replaced_is_noticed(tiny_pipe):
    pipe = tiny_pipe(motion="full", num_frames=4)
    pipe.motion = object()  # what load_motion has left
    remove_backward_motion(pipe.unet)  # what enable_xformers_memory_efficient_attention does
    with pytest.raises(RuntimeError, match="enable_xformers.*load_motion again"):
        run(pipe, method="gi")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("unet.conv_out", "the denoised clip is not finite: UNet"),
        ("vae.decoder.conv_in", "the decoded clip .*conv_in.bias"),
    ],
)
def test_a_clip_that_is_not_finite_is_an_error(tiny_pipe, layer, message):
    pipe = tiny_pipe(num_frames=4)
    part, _, name = layer.partition(".")
    torch.nn.init.constant_(getattr(pipe, part).get_submodule(name).bias, torch.nan)
    with pytest.raises(RuntimeError, match=message):
        run(pipe, method="svd", output_type="np")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "gy"}, "did you mean 'gi'"),
        ({"method": "svd", "steps": 0}, "num_inference_steps"),
        ({"method": "trf", "frame1": None}, "no frame1; svd works from frame0 alone"),
        ({"frame1": picture(1, (32, 16))}, r"keyframes .* alike, got \(1, 3, 16, 24\) and \(1, 3, 16, 32\)"),
        ({"height": 32}, "given size 24 x 32, got 24 x 16 pixels: gen_inbetween.inbetween fits"),
        ({"frame0": picture(0, (25, 16)), "frame1": picture(0, (25, 16))}, "multiples of 2, got 25 x 16"),
        ({"num_frames": 1}, "whole number of at least 2, got 1"),
        ({"fps": 0}, "fps as a number of at least 1, got 0"),
        ({"motion_bucket_id": 300}, "0 to 255, got 300"),
        ({"noise_aug_strength": float("nan")}, "noise_aug_strength as a number of at least 0, got nan"),
        ({"fusion": "max"}, "average, linear, got 'max'"),
        ({"output_type": "gif"}, "pil, np, pt, latent, got 'gif'"),
        ({"latents": torch.zeros(1, 4, 4, 8, 8)}, r"shape \(1, 4, 4, 8, 12\), got \(1, 4, 4, 8, 8\)"),
        ({"latents": torch.full((1, 4, 4, 8, 12), torch.nan)}, "finite latents"),
        (
            {"callback_on_step_end": print, "callback_on_step_end_tensor_inputs": ["noise"]},
            r"out of latents, denoised, preview, got \['noise'\]",
        ),
    ],
)
def test_bad_arguments(pipe, given, message):
    with pytest.raises(ValueError, match=message):
        run(pipe, **given)


def test_a_folder_saved_again_without_a_motion_has_none(tiny_pipe, tmp_path):
    pipe = tiny_pipe(motion="full")
    pipe.save_pretrained(tmp_path)
    assert (tmp_path / "backward_motion.safetensors").is_file()
    pipe.unload_motion()
    pipe.save_pretrained(tmp_path)
    assert not (tmp_path / "backward_motion.safetensors").exists()


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_said_so(name):
    with pytest.raises(ModelError, match="unknown model"):
        InbetweenPipeline.from_pretrained(name)
