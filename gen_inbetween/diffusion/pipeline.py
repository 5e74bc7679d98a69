"""Two keyframes in, the clip between them out, as a diffusers pipeline.

encode both keyframes -> noise levels -> METHODS[method] over `denoised = denoise(x, sigma)` -> decode
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import StableVideoDiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from gen_inbetween.diffusion.checkpoints import load_motion
from gen_inbetween.diffusion.conditioning import (
    Frames,
    KeyframeConditioning,
    encode_ends,
    encode_keyframes,
    frames_to_tensor,
)
from gen_inbetween.diffusion.decoding import decode_latents
from gen_inbetween.diffusion.edm import Generator, edm_scalings, scheduler_sigmas
from gen_inbetween.diffusion.fusion import open_denoisers
from gen_inbetween.diffusion.methods import Method, find_method
from gen_inbetween.diffusion.motion import has_backward_motion, without_backward_motion
from gen_inbetween.diffusion.motion_files import MissingMotionError, MotionInfo
from gen_inbetween.diffusion.options import DecodeMode, SamplerOptions
from gen_inbetween.runtime.messages import nearest_names

OUTPUT_TYPES = ("pil", "np", "pt", "latent")
OnStepEnd = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]


@dataclass
class InbetweenOutput(BaseOutput):
    """What a call returns.

    frames: per pair a list of PIL images; or (pair, frame, height, width, 3) numpy or (pair, frame, 3, height, width)
        torch, both in [0, 1]; or, for output_type "latent", the latents.
    latents: (pair, frame, channel, height, width), scaled by the VAE's factor, float32.
    passes: sample-forwards made, all pairs together (`Method.unet_passes` foretells them for one).
    options: the method's options as used, defaults filled in.
    """

    frames: list[list[Image.Image]] | np.ndarray | Tensor
    latents: Tensor
    passes: int
    options: SamplerOptions


class InbetweenPipeline(StableVideoDiffusionPipeline):
    """Generative inbetweening on Stable Video Diffusion: see `__call__`.

    Made by `from_pretrained` of any SVD folder or hub id. `motion` describes the loaded backward motion, or is None.
    """

    motion: MotionInfo | None = None

    if TYPE_CHECKING:  # diffusers registers a pipeline's parts at run time, where a type checker cannot see them

        def __getattr__(self, name: str) -> Any: ...

    def load_motion(
        self, source: str | os.PathLike[str], *, base: str | os.PathLike[str] | None = None, kernel: str = "sdpa"
    ) -> MotionInfo:
        """`checkpoints.load_motion` on this pipeline's UNet. Call it after xformers and before any offloading."""
        base = None if base is None else os.fspath(base)
        self.motion = load_motion(self.unet, os.fspath(source), base=base, kernel=kernel)
        return self.motion

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save the base model as a plain StableVideoDiffusionPipeline folder, which any diffusers tool opens.

        Backward motion is not in it: `checkpoints.save_motion` writes that. `kwargs` are diffusers'.
        """
        with without_backward_motion(self.unet):
            base: Any = StableVideoDiffusionPipeline(**self.components)
            base.save_pretrained(save_directory, **kwargs)

    @torch.no_grad()
    def __call__(
        self,
        frame0: Frames,
        frame1: Frames | None = None,
        *,
        method: str = "gi",
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        fps: int = 7,
        motion_bucket_id: int = 127,
        noise_aug_strength: float = 0.02,
        options: SamplerOptions | None = None,
        split_guidance: bool = False,
        decode: DecodeMode = "streamed",
        decode_chunk_size: int | None = None,
        generator: Generator = None,
        latents: Tensor | None = None,
        output_type: str = "pil",
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        return_dict: bool = True,
        **sampler_options: Any,
    ) -> InbetweenOutput | tuple[Any, ...]:
        """Make the clip between two keyframes.

        Args:
            frame0, frame1: RGB PIL images, lists of them (one per pair), or tensors (3, H, W) or (pair, 3, H, W) in
                [0, 1], at the clip's size (`gen_inbetween.inbetween` fits others). Only "svd" works without frame1.
            method: a key of `sampling.METHODS`. "gi" needs a backward motion (`load_motion`).
            height, width: pixels; checked against the frames. None: the frames' own.
            num_frames: both keyframes included; None: what the model was trained on.
            fps, motion_bucket_id, noise_aug_strength: what SVD is told, see `conditioning.encode_keyframes`.
            options: the method's options as one object; None: its defaults.
            split_guidance: half the activations, the same clip.
            decode, decode_chunk_size: see `decoding.decode_latents`.
            generator: draws, in this order, the noise on the keyframes, the first latents and the re-noising; always in
                float32, so that a seed means the same noise at every precision. A list holds one per pair.
            latents: unit normal noise (pair, frame, channel, height, width) to start from, instead of drawing it.
            output_type: "pil", "np", "pt" or "latent".
            callback_on_step_end: called as (pipe, step, timestep, {"latents": x}) after each step that is made, repeats
                counted; "latents" in the dict it returns go on.
            return_dict: False for a tuple (frames, latents, passes, options).
            sampler_options: `SamplerOptions`, one by one: num_inference_steps=25, max_guidance_scale=3.0, ... They win
                over those in `options`.

        Raises:
            MissingMotionError: method "gi" without a backward motion.
            ValueError, TypeError: an argument out of its range; the message says what was expected.
            RuntimeError: the motion's processors were replaced, or the UNet's output is not finite.
        """
        chosen = find_method(method)
        options = chosen.resolve(merge_options(options, sampler_options))
        unknown = set(callback_on_step_end_tensor_inputs) - {"latents"}
        if unknown:
            raise ValueError(f"expected 'latents' alone as a callback tensor, got {sorted(unknown)}")
        num_frames = self.unet.config.num_frames if num_frames is None else num_frames
        told: dict[str, Any] = {
            "fps": fps,
            "motion_bucket_id": motion_bucket_id,
            "noise_aug_strength": noise_aug_strength,
        }
        check_told(num_frames, output_type, **told)
        self._check_motion(chosen)
        first, last = self._open_keyframes(chosen, frame0, frame1, height, width)
        order = chosen.step_order(options)
        assert options.num_inference_steps is not None
        sigmas = scheduler_sigmas(self.scheduler, options.num_inference_steps).to(self._execution_device)

        keyframes = encode_keyframes(self, first, last, num_frames=num_frames, generator=generator, **told)
        ends = encode_ends(self, first, last) if options.pin_ends else None
        noise = self._draw_noise(keyframes, generator, latents)
        denoisers = open_denoisers(chosen, self.unet, keyframes, options, split_guidance=split_guidance)
        self._num_timesteps = len(order)
        with self.progress_bar(total=len(order)) as bar:

            def on_step(step: int, sigma: Tensor, x: Tensor, denoised: Tensor) -> Tensor:
                bar.update()
                if callback_on_step_end is None:
                    return x
                given = dict.fromkeys(callback_on_step_end_tensor_inputs, x)
                return callback_on_step_end(self, step, edm_scalings(sigma)[-1], given).get("latents", x)

            x = chosen.sample(
                *denoisers,
                noise * (sigmas[0] ** 2 + 1).sqrt(),  # as EulerDiscreteScheduler scales for SVD ("leading" spacing)
                sigmas,
                order,
                generator=generator,
                cfg_plus_plus=bool(options.cfg_plus_plus),
                ends=ends,
                on_step=on_step,
            )
        frames = self._decode(x, decode, decode_chunk_size, output_type)
        self.maybe_free_model_hooks()
        passes = sum(denoise.passes for denoise in denoisers)
        output = InbetweenOutput(frames=frames, latents=x, passes=passes, options=options)
        return output if return_dict else output.to_tuple()

    def _check_motion(self, method: Method) -> None:
        """That what the method needs is in the UNet at this moment."""
        if not method.needs_motion or has_backward_motion(self.unet):
            return
        if self.motion is None:
            raise MissingMotionError(self.config.get("_name_or_path") or "this model")
        raise RuntimeError(
            "the loaded backward motion is gone from the UNet: enable_xformers_memory_efficient_attention and "
            "set_attn_processor replace it without a word; call load_motion again, after them"
        )

    def _open_keyframes(
        self, method: Method, frame0: Frames, frame1: Frames | None, height: int | None, width: int | None
    ) -> tuple[Tensor, Tensor]:
        """Both keyframes as (pair, 3, height, width) in [-1, 1], of one size that fits the VAE."""
        if frame1 is None and method.motions != "forward":
            raise ValueError(f"method {method.name} needs both keyframes, got no frame1; svd works from frame0 alone")
        first = frames_to_tensor(frame0, "frame0")
        last = first if frame1 is None else frames_to_tensor(frame1, "frame1")
        if first.shape != last.shape:
            raise ValueError(
                f"expected both keyframes (pair, 3, height, width) alike, got {tuple(first.shape)} and "
                f"{tuple(last.shape)}: gen_inbetween.inbetween fits any sizes, or use frames.fit_pair"
            )
        size = tuple(first.shape[-2:])
        if size != (height or size[0], width or size[1]):
            raise ValueError(
                f"expected frames of the given size {width} x {height}, got {size[1]} x {size[0]} pixels: "
                "gen_inbetween.inbetween fits any sizes, or use frames.fit_pair"
            )
        if any(side % self.vae_scale_factor for side in size):
            raise ValueError(
                f"expected sides in multiples of {self.vae_scale_factor}, got {size[1]} x {size[0]} pixels"
            )
        return first, last

    def _draw_noise(self, keyframes: KeyframeConditioning, generator: Generator, given: Tensor | None) -> Tensor:
        """Unit normal latents (pair, frame, channel, height, width), in float32 or wider: sigma starts at 700."""
        _, _, pairs, _, channels, height, width = keyframes.image_latents.shape
        shape = (pairs, keyframes.num_frames, channels, height, width)
        if given is None:
            given = randn_tensor(shape, generator=generator, device=self._execution_device, dtype=torch.float32)
        if given.shape != shape:
            raise ValueError(f"expected latents of shape {shape}, got {tuple(given.shape)}")
        if not given.isfinite().all():
            raise ValueError("expected finite latents, got NaN or infinity")
        return given.to(self._execution_device, torch.promote_types(self.unet.dtype, torch.float32))

    def _decode(
        self, latents: Tensor, mode: DecodeMode, chunk_size: int | None, output_type: str
    ) -> list[list[Image.Image]] | np.ndarray | Tensor:
        """Latents as the output type has it."""
        if not latents.isfinite().all():
            raise RuntimeError(f"the denoised clip is not finite: run the UNet (now {self.unet.dtype}) in float32")
        if output_type == "latent":
            return latents
        frames = decode_latents(self.vae, latents, mode=mode, chunk_size=chunk_size)
        return self.video_processor.postprocess_video(frames.transpose(1, 2), output_type=output_type)


def merge_options(options: SamplerOptions | None, keywords: dict[str, Any]) -> SamplerOptions:
    """The options, with those keywords that are not None in their place; TypeError for an unknown keyword."""
    names = [item.name for item in fields(SamplerOptions)]
    for name in keywords.keys() - names:
        near = nearest_names(name, names)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"the pipeline takes no {name!r}{hint}; the sampler's options are {', '.join(names)}")
    wanted = {name: value for name, value in keywords.items() if value is not None}
    return replace(options or SamplerOptions(), **wanted)


def check_told(
    num_frames: int, output_type: str, *, fps: int, motion_bucket_id: int, noise_aug_strength: float
) -> None:
    """ValueError for a value that SVD cannot be told."""
    if not isinstance(num_frames, int) or num_frames < 2:
        raise ValueError(f"expected num_frames as a whole number of at least 2, the keyframes, got {num_frames!r}")
    if output_type not in OUTPUT_TYPES:
        raise ValueError(f"expected output_type out of {', '.join(OUTPUT_TYPES)}, got {output_type!r}")
    if not fps >= 1:
        raise ValueError(f"expected fps of at least 1, got {fps!r}")
    if not 0 <= motion_bucket_id <= 255:
        raise ValueError(f"expected motion_bucket_id from 0 to 255, got {motion_bucket_id!r}")
    if not 0 <= noise_aug_strength < math.inf:
        raise ValueError(f"expected noise_aug_strength of at least 0, got {noise_aug_strength!r}")
