"""Fixtures for every test: a random Stable Video Diffusion that runs on a CPU in fractions of a second; the command."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

# Before torch is loaded, and for the processes that tests start: on models this small threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Weights that somebody fetched on this machine must not become the tests' default interpolator.
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp()
os.environ.pop("GEN_INBETWEEN_MODELS", None)

import av
import torch
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from gen_inbetween.cli import __main__ as cli
from gen_inbetween.diffusion.motion import add_backward_motion, temporal_self_attentions
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.runtime.messages import tell_once, warn_once


def build_tiny_pipe(
    seed: int = 0,
    *,
    motion: str | None = None,
    num_frames: int = 6,
    latent_channels: int = 4,
    dtype: torch.dtype = torch.float32,
    rotate: bool = True,
    projections: str = "vo",
) -> InbetweenPipeline:
    """A random two-block SVD. Sizes in pixels are multiples of 4 (32 x 48 is usual); latents are half of that.

    motion: None, "full" or "lora": backward motion installed, its update drawn at random (not zero); rotate and
        projections are as in `add_backward_motion`.
    """
    torch.manual_seed(seed)
    unet = UNetSpatioTemporalConditionModel(
        sample_size=16,
        in_channels=2 * latent_channels,
        out_channels=latent_channels,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        num_attention_heads=(2, 4),
        cross_attention_dim=32,
        addition_time_embed_dim=16,
        projection_class_embeddings_input_dim=48,
        num_frames=num_frames,
    )
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        latent_channels=latent_channels,
        sample_size=32,
        force_upcast=True,
    )
    image_encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            projection_dim=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=224,
            patch_size=56,
        )
    )
    pipe = InbetweenPipeline(
        vae=vae.to(dtype).eval(),
        image_encoder=image_encoder.to(dtype).eval(),
        unet=unet.to(dtype).eval(),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            timestep_spacing="leading",
            timestep_type="continuous",
            steps_offset=1,
            use_karras_sigmas=True,
            sigma_min=0.002,
            sigma_max=700.0,
        ),
        feature_extractor=CLIPImageProcessor(),
    )
    if motion is not None:
        add_backward_motion(pipe.unet, motion, rank=4, alpha=8, rotate=rotate, projections=projections)
        for attn in temporal_self_attentions(pipe.unet).values():
            for weight in attn.processor.parameters():
                torch.nn.init.normal_(weight, std=0.1)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="session")
def tiny_pipe() -> Callable[..., InbetweenPipeline]:
    """`tiny_pipe(seed=0, motion=None, ...)` builds a fresh pipeline: see `build_tiny_pipe`."""
    return build_tiny_pipe


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`build_tiny_pipe()` saved in diffusers' layout; treat it as read-only."""
    folder = tmp_path_factory.mktemp("tiny_svd")
    build_tiny_pipe().save_pretrained(folder)
    return folder


@pytest.fixture
def interrupted_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as soon as an image or a video is being written; a video's file is there by then."""
    open_container = av.open

    def interrupted(*arguments: object, **options: object) -> None:
        open_container(*arguments, **options).close()
        raise KeyboardInterrupt

    def interrupted_image(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(av, "open", interrupted)
    monkeypatch.setattr(Image.Image, "save", interrupted_image)


@pytest.fixture
def inbetween(monkeypatch, capsys, tmp_path):
    """Runs `inbetween ARGUMENTS` in an empty folder; returns (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    warn_once.cache_clear()
    tell_once.cache_clear()
    # What main() sets for its process is taken back after the test.
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")
    monkeypatch.setenv("DIFFUSERS_VERBOSITY", "error")
    monkeypatch.setenv("GEN_INBETWEEN_TRUST", "")
    monkeypatch.setattr(logging.getLogger("gen_inbetween"), "handlers", [])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["inbetween", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run
