"""A GPU's path without a GPU: SVD-XT at full size on tensors that say "cuda" and hold nothing.

    parts = full_size_parts(torch.float16)
    with FakeCuda(allow_non_fake_inputs=True), Placed():
        full_size_pipe(parts, torch.float16)(frame0, frame1)

torch's FakeTensorMode carries shapes, dtypes and devices through every operator and raises where a GPU would: on two
devices or two dtypes in one operator, on a cast that is missing, on shapes that do not fit. A CPU build of torch has no
CUDA runtime, and a few methods of Tensor ask it for the current device before they dispatch; these are put as the
operators they come to. Values do not exist: questions about them (is it finite?) are answered by `Placed`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from gen_inbetween.diffusion.conditioning import KeyframeConditioning, added_time_ids
from gen_inbetween.diffusion.motion import add_backward_motion
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.memory.footprint import build
from gen_inbetween.models.configs import SVD_IMAGE_ENCODER, SVD_XT
from gen_inbetween.models.single_file_weights import SCHEDULER

aten = torch.ops.aten
LARGEST_LAUNCH = 65_535  # of the second and third axis of a CUDA grid, where fused attention puts its batch


def get_item(tensor: Tensor, index: Any) -> Tensor:
    """`tensor[index]` by aten's select, slice, unsqueeze and index."""
    keys = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        used = sum(1 for key in keys if key is not None and key is not Ellipsis)
        keys[at : at + 1] = [slice(None)] * (tensor.ndim - used)
    dim, gathered = 0, None
    for key in keys:
        if key is None:
            tensor, dim = aten.unsqueeze(tensor, dim), dim + 1
        elif isinstance(key, slice):
            if key != slice(None):
                tensor = aten.slice(tensor, dim, key.start, key.stop, 1 if key.step is None else key.step)
            dim += 1
        elif isinstance(key, int):
            tensor = aten.select(tensor, dim, key)
        else:
            positions = key if isinstance(key, Tensor) else torch.tensor(key)
            if gathered is not None:
                raise NotImplementedError(f"several index lists in one: {index}")
            gathered, dim = (dim, positions.to(tensor.device)), dim + 1
    return tensor if gathered is None else aten.index_select(tensor, *gathered)


def set_item(tensor: Tensor, index: Any, value: Any) -> None:
    """`tensor[index] = value`."""
    part = get_item(tensor, index)
    if isinstance(value, Tensor):
        if value.device != part.device and value.ndim:
            raise RuntimeError(f"expected one device, got {part.device} and {value.device}")
        aten.copy_(part, value)
    else:
        aten.fill_(part, value)


def to(tensor: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
    """`tensor.to(...)`."""
    if args and isinstance(args[0], Tensor):
        args = (args[0].device, args[0].dtype)
    device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
    device, dtype = device or tensor.device, dtype or tensor.dtype
    same = device.type == tensor.device.type and dtype == tensor.dtype
    return (
        tensor if same and not copy else aten._to_copy(tensor, device=device, dtype=dtype, memory_format=memory_format)
    )


class Placed(TorchFunctionMode):
    """Tensor's own methods that ask a CUDA runtime for its device, as the operators they come to."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and args[0].is_cuda and len(args[0]) > LARGEST_LAUNCH:
            raise RuntimeError(f"CUDA error: invalid configuration argument (a batch of {len(args[0])})")
        if func is torch.linalg.lstsq and isinstance(args[0], FakeTensor):  # the mode would solve it on what lies about
            return SimpleNamespace(solution=args[0].new_empty(args[0].shape[-1], args[1].shape[-1]))
        if func is Tensor.__getitem__:
            return get_item(*args)
        if func is Tensor.__setitem__:
            return set_item(*args)
        if func is Tensor.copy_:
            return aten.copy_(*args, **kwargs)
        if func is Tensor.contiguous:
            return (
                args[0]
                if args[0].is_contiguous(**kwargs)
                else aten.clone(args[0], memory_format=kwargs.get("memory_format", torch.contiguous_format))
            )
        if func is Tensor.detach:
            func(*args)  # the first of a shape stays referred to by the mode's cache, and a model could not swap it
        if func is Tensor.to:
            return to(*args, **kwargs)
        if func in (Tensor.__bool__, Tensor.item, Tensor.__float__) and isinstance(args[0], FakeTensor):
            return ANSWERS[func]
        return func(*args, **kwargs)


ANSWERS: dict[Any, Any] = {Tensor.__bool__: True, Tensor.item: 1.0, Tensor.__float__: 1.0}


class FakeCuda(FakeTensorMode):
    """Fake are the tensors on "cuda", and what becomes of them; what lies on the CPU keeps its values."""

    inside = False  # an operator on fake tensors, whose parts are fake too

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        inputs = tree_flatten((args, kwargs))[0]
        on_gpu = device is not None and torch.device(device).type == "cuda"
        if not (self.inside or on_gpu or any(isinstance(each, FakeTensor) for each in inputs)):
            return func(*args, **kwargs)
        outermost, self.inside = not self.inside, True
        try:
            return super().__torch_dispatch__(func, types, args, kwargs)
        finally:
            self.inside = not outermost


def full_size_parts(dtype: torch.dtype, *, motion: bool = True) -> dict[str, nn.Module]:
    """UNet, VAE and image encoder of SVD-XT as published, on the meta device; build them outside `FakeCuda`."""
    unet = build(UNetSpatioTemporalConditionModel, SVD_XT.unet, dtype)
    with torch.device("meta"):
        encoder: Any = CLIPVisionModelWithProjection(CLIPVisionConfig(**SVD_IMAGE_ENCODER))
        if motion:
            add_backward_motion(unet)
    parts = {"unet": unet, "vae": build(AutoencoderKLTemporalDecoder, SVD_XT.vae, dtype), "image_encoder": encoder}
    return {name: model.eval() for name, model in parts.items()}


def full_size_pipe(parts: dict[str, nn.Module], dtype: torch.dtype, *, device: str = "cuda") -> InbetweenPipeline:
    """The pipeline of these parts with weights on the device; to be called inside `FakeCuda`."""
    for model in parts.values():
        place(model, device, dtype)
    pipe = InbetweenPipeline(
        **parts, scheduler=EulerDiscreteScheduler(**SCHEDULER), feature_extractor=CLIPImageProcessor()
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def place(model: nn.Module, device: str, dtype: torch.dtype) -> None:
    """Empty weights for a model that was built on the meta device."""
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            empty = torch.empty(weight.shape, device=device, dtype=dtype)
            setattr(module, name, nn.Parameter(empty, requires_grad=weight.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            kind = dtype if buffer.is_floating_point() else buffer.dtype
            setattr(module, name, torch.empty(buffer.shape, device=device, dtype=kind))


def training_clip(device: str, dtype: torch.dtype) -> tuple[Tensor, KeyframeConditioning]:
    """Latents and keyframes of 14 frames of 512x320, as configs/train/backward_svd.yaml has them."""
    latents = torch.empty(1, 14, 4, 40, 64, device=device)
    ends, embeds = torch.empty(2, 1, 4, 40, 64, device=device), torch.empty(2, 1, 1024, device=device)
    ids = added_time_ids(7, 127, 0.02)
    return latents, KeyframeConditioning.assemble(ends, embeds, ids, num_frames=14, dtype=dtype)
