"""The inbetweening pipeline of diffusers' kind: two keyframes in, a clip out.

    pipe = InbetweenPipeline.from_pretrained("svd-xt").to("cuda", torch.float16)
    pipe.load_motion("backward_motion.safetensors")  # one that lies in the model's folder is loaded already
    output = pipe(frame0, frame1, num_inference_steps=25, generator=torch.Generator().manual_seed(0))
    export_to_video(output.frames[0], "clip.mp4", fps=7)

A call is: encode both keyframes -> noise levels -> the loop of `METHODS[method]` over `denoise(x, sigma)` -> decode.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import StableVideoDiffusionPipeline
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from gen_inbetween.diffusion.checkpoints import load_motion, save_motion
from gen_inbetween.diffusion.conditioning import (
    BACKWARD,
    EncodedPictures,
    Frames,
    encode_clean,
    encode_pictures,
    frames_to_tensor,
)
from gen_inbetween.diffusion.decoding.latents import choose_decode, decode_latents
from gen_inbetween.diffusion.decoding.modes import DecodeMode
from gen_inbetween.diffusion.edm import Generator, edm_scalings, scheduler_sigmas
from gen_inbetween.diffusion.fusion import loop_arguments, open_denoisers, open_order, step_cache
from gen_inbetween.diffusion.holds import Holds
from gen_inbetween.diffusion.methods import Method, choose_method
from gen_inbetween.diffusion.motion import (
    get_motion_scale,
    has_backward_motion,
    one_at_a_time,
    remove_backward_motion,
    set_motion_scale,
    without_backward_motion,
)
from gen_inbetween.diffusion.motion_files import MissingMotionError, MotionInfo
from gen_inbetween.diffusion.options import DRAFT_STRENGTH, SamplerOptions
from gen_inbetween.diffusion.samplers.parallel import Ranks
from gen_inbetween.diffusion.samplers.previews import ColourMap
from gen_inbetween.diffusion.sampling import OnStep, keep_x, mean_and_variance, start_of
from gen_inbetween.diffusion.windows.denoiser import WindowedDenoiser
from gen_inbetween.diffusion.windows.layout import (
    check_positions,
    decode_spans,
    kept_keyframes,
    lay_windows,
    window_weights,
)
from gen_inbetween.runtime.checks import check_real, check_switch, check_whole
from gen_inbetween.runtime.hub import HUB_IDS, INDEX, MOTION_FILE, find_file, locate_model
from gen_inbetween.runtime.messages import nearest_names
from gen_inbetween.runtime.trust.model_folder import check_classes, name_portably

OUTPUT_TYPES = ("pil", "np", "pt", "latent")
OnStepEnd = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]


class NotFiniteError(RuntimeError):
    """A clip came to NaN or infinity; the message says what to do."""


@dataclass
class InbetweenOutput(BaseOutput):
    """What a call returns.

    frames: per clip a list of PIL images; or (clip, frame, height, width, 3) numpy or (clip, frame, 3, height, width)
        torch, both in [0, 1]; or, for output_type "latent", the latents.
    latents: (clip, frame, channel, height, width), scaled by the VAE's factor, float32.
    unet_passes: sample-forwards made, all clips together (`Method.unet_passes` foretells them for one).
    options: the method's options as used, defaults filled in.
    """

    frames: list[list[Image.Image]] | np.ndarray | Tensor
    latents: Tensor
    unet_passes: int
    options: SamplerOptions


class InbetweenPipeline(StableVideoDiffusionPipeline):
    """Generative inbetweening on Stable Video Diffusion: see `__call__`.

    Made by `from_pretrained`, or by `from_pipe` of a StableVideoDiffusionPipeline. `motion` describes the loaded
    backward motion, or is None.
    """

    motion: MotionInfo | None = None
    weights_folder: str | None = None  # where it was opened from, if its files were hashed
    weights_sha256: str | None = None  # of the folder it was opened from; None: nobody hashed it
    weights_states: tuple[tuple[str, tuple[int, ...]], ...] = ()  # of that folder's files when they were hashed
    _callback_tensor_inputs = ["latents", "denoised", "preview"]
    _colours: ColourMap | None = None  # of the run under way, where its callback asks for previews
    ranks: Ranks | None = None  # processes that share every evaluation; each makes the whole clip
    _guidance_scale: float | Tensor = 1.0  # until a call sets it
    _interrupt = False

    if TYPE_CHECKING:  # diffusers registers a pipeline's parts at run time, where a type checker cannot see them

        def __getattr__(self, name: str) -> Any: ...

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        motion: str | os.PathLike[str] | None = "default",
        **kwargs: Any,
    ) -> InbetweenPipeline:
        """Open a named model (svd-xt, svd, svd-xt-1.1, pocket-2), a folder in diffusers' layout or a hub id.

        Args:
            motion: a file or folder for `load_motion`; "default": the backward_motion.safetensors that lies in the
                model's folder, if there is one; None: no motion.
            kwargs: diffusers' own (torch_dtype, variant, ...). variant: by default fp16 where that is all there is.

        Raises:
            ModelError: an unknown name. MotionError: as `load_motion`. OSError: as diffusers, for a broken folder.
        """
        name = os.fspath(pretrained_model_name_or_path)
        source = locate_model(name)
        kwargs.setdefault("variant", find_variant(source))
        kwargs.setdefault("use_safetensors", True)  # the other kind of weights are pickles
        if Path(source).is_dir():
            check_classes(Path(source))
        opened: Any = super().from_pretrained(source, **kwargs)
        pipe: InbetweenPipeline = opened
        file = find_file(name, [MOTION_FILE]) if motion == "default" else motion
        if file is not None:
            pipe.load_motion(file)
        return pipe

    @classmethod
    def download(cls, pretrained_model_name: str | os.PathLike[str], **kwargs: Any) -> str | os.PathLike[str]:
        """The folder of a hub id's files, downloaded where they are not here yet; ModelError: as `check_classes`."""
        parent: Any = super()
        folder: str | os.PathLike[str] = parent.download(pretrained_model_name, **kwargs)
        check_classes(Path(folder))
        return folder

    @one_at_a_time
    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save the base model as a plain StableVideoDiffusionPipeline folder, which any diffusers tool opens.

        The backward motion goes beside it as backward_motion.safetensors, where `from_pretrained` finds it, in place of
        one that lies there; its scale is not saved. `kwargs` are diffusers'.
        """
        with without_backward_motion(self.unet):
            base: Any = StableVideoDiffusionPipeline(**self.components)
            base.save_pretrained(save_directory, **kwargs)
        name_portably(Path(save_directory) / INDEX)
        if not has_backward_motion(self.unet):
            (Path(save_directory) / MOTION_FILE).unlink(missing_ok=True)  # of a pipeline saved here before
            return
        origin = self.config.get("_name_or_path") or "unknown"
        metadata: dict[str, Any] = {"base_model": origin}
        if self.motion is not None:
            trained = {"base_model": self.motion.base_model or origin, "num_frames": self.motion.num_frames}
            metadata = self.motion.metadata | trained
        save_motion(self.unet, Path(save_directory) / MOTION_FILE, metadata, dtype=None)

    @one_at_a_time
    def load_motion(
        self,
        source: str | os.PathLike[str],
        *,
        base: str | os.PathLike[str] | None = None,
        kernel: str = "sdpa",
        motion_scale: float = 1.0,
    ) -> MotionInfo:
        """`checkpoints.load_motion` on this pipeline's UNet. Call it after xformers and before any offloading."""
        base = None if base is None else os.fspath(base)
        self.motion = load_motion(self.unet, os.fspath(source), base=base, kernel=kernel, motion_scale=motion_scale)
        return self.motion

    @one_at_a_time
    def unload_motion(self) -> None:
        """Back to stock SVD."""
        remove_backward_motion(self.unet)
        self.motion = None

    @property
    def motion_scale(self) -> float:
        """The weight of the loaded motion's update: 1 as trained, 0 stock weights. May be set, also between calls."""
        return get_motion_scale(self.unet)

    @motion_scale.setter
    @one_at_a_time
    def motion_scale(self, scale: float) -> None:
        set_motion_scale(self.unet, scale)

    @property
    def interrupt(self) -> bool:
        """Set it, from a callback, to end the run after this step; the latents are then as noisy as they are."""
        return self._interrupt

    @interrupt.setter
    def interrupt(self, value: bool) -> None:
        self._interrupt = value

    @torch.no_grad()
    @one_at_a_time
    def __call__(
        self,
        # model input
        frame0: Frames | None = None,
        frame1: Frames | None = None,
        *,
        between: Mapping[int, Frames] | None = None,
        strengths: Mapping[int, float] | None = None,
        loop: bool = False,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        # what is kept, and where it starts
        holds: Sequence[Holds] = (),
        draft: Tensor | None = None,
        # sampling
        method: str | None = None,
        options: SamplerOptions | None = None,
        num_videos_per_prompt: int = 1,
        generator: Generator = None,
        latents: Tensor | None = None,
        # conditioning
        fps: int = 7,
        motion_bucket_id: float = 127,
        end_motion_bucket_id: float | None = None,
        noise_aug_strength: float = 0.02,
        # memory
        split_guidance: bool = False,
        decode: DecodeMode | None = None,
        decode_chunk_size: int | None = None,
        # output
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: OnStepEnd | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        **sampler_options: Any,
    ) -> InbetweenOutput | tuple[Any, ...]:
        """Make the clip between two keyframes. Called by two threads, it makes one clip after the other.

        Args:
            frame0, frame1: RGB PIL images, numpy arrays or tensors, or lists of them, one per pair; see
                `conditioning.frames_to_tensor`. They have the clip's size (`gen_inbetween.inbetween` fits others). Only
                "svd" works without frame1.
            between: inner keyframes, by their frame number (1 to num_frames - 2); given as frame0 is. The clip is then
                sampled in windows, see `windows.denoiser`, and may have any length.
            strengths: of keyframes, by frame number: how much of each its frame keeps, in [0, 1]; an inner one that is
                not named keeps all of it, an outer one what `pin_ends` says.
            loop: the clip goes on from its last frame to frame0. frame1 is not given; `between` has at least one.
            height, width: pixels; checked against the frames. None: the frames' own.
            num_frames: both keyframes included; None: what the model was trained on.
            holds: what else the denoised clip keeps, at every step; see `holds.Holds`.
            draft: clean, scaled latents (clip, frame, channel, height, width) to start from, at the noise level that
                `draft_strength` says (0.6 where it is not given).
            method: a key of `methods.METHODS`; None: gi with a backward motion, else trf.
            options: the method's options as one object; None: its defaults.
            num_videos_per_prompt: clips of each pair, one after the other.
            generator: draws, in this order, the noise on the keyframes, the first latents and the re-noising; always in
                float32, so that a seed means the same noise at every precision. A list holds one per clip; a longer one
                than there are pairs makes so many clips of each.
            latents: unit normal noise (clip, frame, channel, height, width) to start from, instead of drawing it.
            fps, motion_bucket_id, noise_aug_strength: what SVD is conditioned on, see `conditioning.encode_keyframes`.
            end_motion_bucket_id: what the backward direction is told; None: the same. Two of them make a clip that
                begins at one pace and ends at another.
            split_guidance: half the activations, the same clip.
            decode, decode_chunk_size: see `decoding.latents.decode_latents`; a chunk size alone means "chunked".
            output_type: "pil", "np", "pt" or "latent".
            return_dict: False for a tuple (frames, latents, unet_passes, options).
            callback_on_step_end: called as (pipe, step, timestep, tensors) after each step that is made, repeats
                counted; "latents" in the dict it returns, if any, go on. It may set `pipe.interrupt`.
            callback_on_step_end_tensor_inputs: which tensors it gets: "latents"; "denoised", the clip as the model sees
                it at this step; "preview", that clip's rough colours in [0, 1], (clip, frame, 3, height, width) of the
                latents' size, which no decoding is needed for (`samplers.previews`).
            sampler_options: the fields of `SamplerOptions`, one by one: num_inference_steps=25, max_guidance_scale=3.0,
                ... They win over those in `options`.

        Raises:
            MissingMotionError: method "gi" without a backward motion.
            ValueError, TypeError: an argument out of its range; the message says what was expected.
            RuntimeError: the motion's processors were replaced, or the UNet's output is not finite.
        """
        chosen = self.choose_method(method)
        options = chosen.resolve(start_options(merge_options(options, sampler_options), draft is not None))
        num_frames = self.unet.config.num_frames if num_frames is None else num_frames
        conditioning: dict[str, Any] = {
            "fps": fps,
            "motion_bucket_id": motion_bucket_id,
            "end_motion_bucket_id": end_motion_bucket_id,
            "noise_aug_strength": noise_aug_strength,
        }
        check_arguments(num_frames, output_type, **conditioning)
        for name, side in (("height", height), ("width", width)):
            if side is not None:
                check_whole(name, side, 1)
        check_switch("split_guidance", split_guidance)
        if latents is not None and not isinstance(latents, Tensor):
            raise TypeError(f"expected latents as a tensor, got {type(latents).__name__}")
        decode = choose_decode(decode, decode_chunk_size)
        on_step_end = self._open_callback(callback_on_step_end, callback_on_step_end_tensor_inputs)
        self._check_motion(chosen)
        if chosen.distils and (between or loop):
            raise ValueError(f"method {chosen.name} moves a clip to its last keyframe: it takes two keyframes, no loop")
        positions = check_positions(chosen, num_frames, between or {}, loop, frame1 is not None)
        inner = [(between or {})[position] for position in positions[1 : None if loop else -1]]
        pictures = self._open_keyframes(chosen, frame0, inner, frame1, loop, height, width)
        clips = clips_per_pair(num_videos_per_prompt, generator, len(pictures[0]))
        pictures = [picture.repeat_interleave(clips, 0) for picture in pictures]

        assert options.num_inference_steps is not None
        sigmas = scheduler_sigmas(
            self.scheduler, options.num_inference_steps, options.start_sigma, options.noise_schedule or "karras"
        )
        order = chosen.step_order(options, sigmas.tolist())
        sigmas = sigmas.to(self._execution_device)
        encoded = encode_pictures(self, pictures, generator=generator, **conditioning)
        kept = kept_keyframes(positions, num_frames, strengths or {}, pin_ends=bool(options.pin_ends), loop=loop)
        needed = kept or options.start_sigma is not None or chosen.distils
        clean = encode_clean(self, pictures) if needed else torch.empty(0)
        if kept:
            frames_of = dict(zip(positions, clean, strict=True))
            holds = [*holds, Holds.of_frames({frame: frames_of[frame] for frame in kept}, num_frames, kept)]
        previews = callback_on_step_end is not None and "preview" in callback_on_step_end_tensor_inputs
        self._colours = self._fit_colours(encoded, pictures) if previews else None
        noise = self._draw_noise(encoded, num_frames, generator, latents)
        moments = mean_and_variance(clean, positions, num_frames) if options.start_sigma is not None else None
        windows = lay_windows(positions, num_frames, loop=loop)
        conditions = [encoded.between(window.keys, len(window.frames)) for window in windows]
        split: dict[str, Any] = {"split_guidance": split_guidance, "ranks": self.ranks}
        opened = [open_denoisers(chosen, self.unet, each, options, **split) for each in conditions]
        denoisers: Sequence[Any] = opened[0]
        if len(windows) > 1:
            weights = window_weights(windows, positions, num_frames)
            denoisers = [
                WindowedDenoiser(
                    each, windows, weights, self.vae.config.scaling_factor, flipped=each[0].directions == [BACKWARD]
                )
                for each in zip(*opened, strict=True)
            ]

        self._guidance_scale, self._num_timesteps = denoisers[0].guidance.unsqueeze(0), len(order)
        self.interrupt = False
        with (
            offloading_if_broken_off(self),
            self.progress_bar(total=len(order)) as bar,
            step_cache(self.unet, options, [each for one in opened for each in one]),
        ):

            def on_step(step: int, sigma: Tensor, x: Tensor, denoised: Tensor) -> Tensor:
                bar.update()
                return on_step_end(step, sigma, x, denoised)

            steps = takewhile(lambda _: not self.interrupt, open_order(order, options, denoisers))
            x = chosen.sample(
                *denoisers,
                start_of(noise, sigmas[order[0]], draft=draft, moments=moments),
                sigmas,
                steps,
                generator=generator,
                holds=holds,
                on_step=on_step,
                **loop_arguments(chosen, options, conditions[0], clean),
            )
        spans = decode_spans(positions, num_frames, loop=loop) if num_frames > self.unet.config.num_frames else []
        frames = self._decode(x, spans if between else [], decode, decode_chunk_size, output_type)
        self.maybe_free_model_hooks()
        unet_passes = sum(denoise.passes for denoise in denoisers)
        output = InbetweenOutput(frames=frames, latents=x, unet_passes=unet_passes, options=options)
        return output if return_dict else output.to_tuple()

    def choose_method(self, name: str | None) -> Method:
        """The method of this name; None: gi where a backward motion is loaded, otherwise trf, and the log says so."""
        return choose_method(name, self.motion is not None or has_backward_motion(self.unet))

    def _open_callback(
        self, callback: OnStepEnd | PipelineCallback | MultiPipelineCallbacks | None, names: Sequence[str]
    ) -> OnStep:
        """The loop's `on_step` that calls a callback of diffusers' kind with the tensors of these names."""
        if callback is None:
            return keep_x
        if not callable(callback):
            raise ValueError(
                f"expected callback_on_step_end as a function or a callback of diffusers, got {callback!r}"
            )
        if isinstance(callback, (PipelineCallback, MultiPipelineCallbacks)):
            names = callback.tensor_inputs
        unknown = set(names) - set(self._callback_tensor_inputs)
        if unknown:
            allowed = ", ".join(self._callback_tensor_inputs)
            raise ValueError(f"expected callback tensors out of {allowed}, got {sorted(unknown)}")

        def on_step(step: int, sigma: Tensor, x: Tensor, denoised: Tensor) -> Tensor:
            tensors = {"latents": x, "denoised": denoised}
            if self._colours is not None:
                tensors["preview"] = self._colours(denoised).clamp(0, 1).float()
            changed = callback(self, step, edm_scalings(sigma)[-1], {name: tensors[name] for name in names})
            return (changed or {}).get("latents", x)

        return on_step

    def _fit_colours(self, encoded: EncodedPictures, pictures: Sequence[Tensor]) -> ColourMap:
        """The map from latents, scaled as the sampler has them, to colours in [0, 1], of these keyframes."""
        return ColourMap.fit(encoded.image_latents * self.vae.config.scaling_factor, torch.stack([*pictures]) / 2 + 0.5)

    def _check_motion(self, method: Method) -> None:
        """That what the method needs is in the UNet at this moment."""
        if not method.needs_motion or has_backward_motion(self.unet):
            return
        if self.motion is None:
            name = self.config.get("_name_or_path")
            raise MissingMotionError(name or "this model", find_file(name, [MOTION_FILE]) if name else None)
        raise RuntimeError(
            "the loaded backward motion is gone from the UNet: enable_xformers_memory_efficient_attention and "
            "set_attn_processor replace it without a word; call load_motion again, after them"
        )

    def _open_keyframes(
        self,
        method: Method,
        frame0: Frames | None,
        inner: Sequence[Frames],
        frame1: Frames | None,
        loop: bool,
        height: int | None,
        width: int | None,
    ) -> list[Tensor]:
        """The keyframes, each (pair, 3, height, width) in [-1, 1], all of one size that fits the VAE."""
        if frame0 is None:
            raise TypeError("expected frame0, the first keyframe, got none")
        if frame1 is None and method.motions != "forward" and not loop:
            raise ValueError(f"method {method.name} needs both keyframes, got no frame1; svd works from frame0 alone")
        pictures = [frames_to_tensor(frame0, "frame0"), *(frames_to_tensor(each, "between") for each in inner)]
        if not loop:
            pictures.append(pictures[0] if frame1 is None else frames_to_tensor(frame1, "frame1"))
        first = pictures[0]
        for picture in pictures[1:]:
            if first.shape != picture.shape:
                raise ValueError(
                    f"expected all keyframes (pair, 3, height, width) alike, got {tuple(first.shape)} and "
                    f"{tuple(picture.shape)}: gen_inbetween.inbetween fits any sizes, or use media.fit.fit_pair"
                )
        sides = first.shape[-2:]
        wanted, size = (f"{w} x {h}" for h, w in ((height or sides[0], width or sides[1]), sides))
        if size != wanted:
            raise ValueError(
                f"expected frames of the given size {wanted}, got {size} pixels: "
                "gen_inbetween.inbetween fits any sizes, or use media.fit.fit_pair"
            )
        if any(side % self.vae_scale_factor for side in sides):
            raise ValueError(f"expected sides in multiples of {self.vae_scale_factor}, got {size} pixels")
        return pictures

    def _draw_noise(
        self, keyframes: EncodedPictures, num_frames: int, generator: Generator, latents: Tensor | None
    ) -> Tensor:
        """Unit normal latents (clip, frame, channel, height, width), in float32 or wider: sigma starts at 700."""
        _, clips, channels, height, width = keyframes.image_latents.shape
        shape = (clips, num_frames, channels, height, width)
        if latents is None:
            latents = randn_tensor(shape, generator=generator, device=self._execution_device, dtype=torch.float32)
        if latents.shape != shape:
            raise ValueError(f"expected latents of shape {shape}, got {tuple(latents.shape)}")
        if not latents.isfinite().all():
            raise ValueError("expected finite latents, got NaN or infinity")
        return latents.to(self._execution_device, torch.promote_types(self.unet.dtype, torch.float32))

    def _decode(
        self,
        latents: Tensor,
        spans: Sequence[tuple[tuple[int, ...], Tensor]],
        mode: DecodeMode,
        chunk_size: int | None,
        output_type: str,
    ) -> list[list[Image.Image]] | np.ndarray | Tensor:
        """Latents as the output type has it; a long clip span by span, blended where they overlap."""
        self._check_finite(latents, "denoised")
        if output_type == "latent":
            return latents
        if not spans:
            frames = decode_latents(self.vae, latents, mode=mode, chunk_size=chunk_size)
        for index, (numbers, weight) in enumerate(spans):
            part = decode_latents(self.vae, latents[:, list(numbers)], mode=mode, chunk_size=chunk_size)
            if index == 0:
                frames = part.new_zeros(len(part), latents.shape[1], *part.shape[2:])
            frames[:, list(numbers)] += weight.to(part).reshape(-1, 1, 1, 1) * part
        self._check_finite(frames, "decoded")
        return self.video_processor.postprocess_video(frames.transpose(1, 2), output_type=output_type)

    def _check_finite(self, clip: Tensor, what: str) -> None:
        """NotFiniteError: it holds NaN or infinity, which would be a black clip."""
        if not clip.isfinite().all():
            raise NotFiniteError(f"the {what} clip is not finite: {self._why_not_finite()}")

    def _why_not_finite(self) -> str:
        """What to do about a clip of NaN or infinity."""
        for part in (self.unet, self.image_encoder, self.vae):
            name = next((name for name, weight in part.named_parameters() if not weight.isfinite().all()), None)
            if name:
                return f"{type(part).__name__} has NaN or infinity in {name}: get the model, or its motion, again"
        if self.unet.dtype in (torch.float16, torch.bfloat16):
            return (
                f"the model computes in {str(self.unet.dtype).removeprefix('torch.')}: take float32 (dtype='float32')"
            )
        return "its weights are finite, so their sums overflow: take less guidance or motion_scale, or another model"


@contextmanager
def offloading_if_broken_off(pipe: Any) -> Iterator[None]:
    """Take offloaded parts back from the device where the steps of a `with` end by an error, as a run does at its end.

    A run that was stopped would leave the UNet there, where the next one expects room to encode its keyframes.
    """
    try:
        yield
    except BaseException:
        pipe.maybe_free_model_hooks()
        raise


def find_variant(source: str) -> str | None:
    """The variant of the weights to open: fp16 for SVD's own repositories and for a folder that has no other."""
    if source in HUB_IDS.values():
        return "fp16"
    unet = Path(source) / "unet"
    names = [unet / f"diffusion_pytorch_model{variant}.safetensors" for variant in ("", ".fp16")]
    return "fp16" if not names[0].is_file() and names[1].is_file() else None


def clips_per_pair(num_videos: int, generator: Generator, pairs: int) -> int:
    """How many clips are made of each pair; ValueError: none, or a list of generators that does not fit."""
    check_whole("num_videos_per_prompt", num_videos, 1)
    each = generator if isinstance(generator, list) else [generator]
    if strange := [given for given in each if given is not None and not isinstance(given, torch.Generator)]:
        raise ValueError(f"expected generator as a torch.Generator, or a list of them, got {strange[0]!r}")
    if not isinstance(generator, list) or len(generator) == pairs * num_videos:
        return num_videos
    if num_videos > 1 or not generator or len(generator) % pairs:
        raise ValueError(
            f"expected one generator, or a list of one per clip ({pairs * num_videos}), got a list of {len(generator)}"
        )
    return len(generator) // pairs


INSTEAD_OF = {  # of Stable Video Diffusion's own keywords
    "image": "the keyframes are frame0 and frame1",
    "sigmas": "noise levels are the scheduler's own, num_inference_steps of them",
}


def merge_options(options: SamplerOptions | None, keywords: dict[str, Any]) -> SamplerOptions:
    """The options, with those keywords that are not None in their place; TypeError for an unknown keyword."""
    if options is not None and not isinstance(options, SamplerOptions):
        raise TypeError(f"expected options as SamplerOptions, got {options!r}")
    names = [item.name for item in fields(SamplerOptions)]
    for name in keywords.keys() - names:
        nearest = nearest_names(name, names)
        guess = f"did you mean {nearest[0]}?" if nearest else f"the sampler's are {', '.join(names)}"
        raise TypeError(f"InbetweenPipeline takes no keyword {name!r}; {INSTEAD_OF.get(name, guess)}")
    chosen = {name: value for name, value in keywords.items() if value is not None}
    return replace(options or SamplerOptions(), **chosen)


def start_options(options: SamplerOptions, has_draft: bool) -> SamplerOptions:
    """The options with the strength of a draft, if there is one; ValueError: a strength without a draft, two starts."""
    if not has_draft and options.draft_strength is not None:
        raise ValueError(f"draft_strength {options.draft_strength:g}: expected a draft with it, got none")
    if has_draft and options.start_sigma is not None:
        raise ValueError("expected a draft or start_sigma, got both: each says where the steps begin")
    return replace(options, draft_strength=options.draft_strength or DRAFT_STRENGTH) if has_draft else options


def check_arguments(
    num_frames: int,
    output_type: str,
    *,
    fps: int,
    motion_bucket_id: float,
    end_motion_bucket_id: float | None,
    noise_aug_strength: float,
) -> None:
    """ValueError for a value that SVD cannot be conditioned on, or an unknown output type."""
    check_whole("num_frames, the keyframes included,", num_frames, 2)
    if output_type not in OUTPUT_TYPES:
        raise ValueError(f"expected output_type out of {', '.join(OUTPUT_TYPES)}, got {output_type!r}")
    check_real("fps", fps, 1)
    check_real("motion_bucket_id", motion_bucket_id, 0, 255)
    if end_motion_bucket_id is not None:
        check_real("end_motion_bucket_id", end_motion_bucket_id, 0, 255)
    check_real("noise_aug_strength", noise_aug_strength, 0)
