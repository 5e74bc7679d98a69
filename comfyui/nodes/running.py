"""How a node runs: on ComfyUI's device, with its bar and its Stop, and its memory given back."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from comfy import model_management
from comfy.utils import ProgressBar
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Generator

    from gen_inbetween.generation.stream import Progress
    from gen_inbetween.media.clip import Clip

PREVIEW = 512  # pixels of a preview's longer side


def device() -> str:
    """The device that ComfyUI computes on."""
    return str(model_management.get_torch_device())


def film_device() -> str:
    """Where an interpolator computes: ComfyUI's device; the CPU in place of mps, which lacks what it needs."""
    return "cpu" if device().startswith("mps") else device()


@contextmanager
def working(*, keep: bool = True, sampling: bool = False, learning: bool = False) -> Iterator[None]:
    """The time of a run: ComfyUI's bar follows what is tracked, and its Stop ends it at the next item.

    keep: leave the diffusion models that were opened in memory. sampling: one is about to be opened; on a GPU ComfyUI's
    own models move out for it. learning: gradients are wanted.
    ComfyUI runs nodes in inference mode, of which a model that is kept would be a prisoner: it is left here.
    """
    from gen_inbetween.runtime.progress import listening

    if sampling and device() != "cpu":
        model_management.unload_all_models()
    bar = ProgressBar(1)

    def hear(done: int, total: int | None) -> None:
        model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, max(total or 0, done))

    try:
        with torch.inference_mode(False), torch.set_grad_enabled(learning), listening(hear):
            yield
    finally:
        if not keep:
            give_back()


def give_back() -> None:
    """Let go of the models that are kept, and of their memory."""
    from gen_inbetween.models.loading import close_pipelines

    close_pipelines()
    gc.collect()
    model_management.soft_empty_cache()


def watch(events: Generator[Progress, None, None]) -> Clip:
    """The clip at the end of a stream, whose steps and previews ComfyUI shows, and which its Stop closes."""
    bar, clip = ProgressBar(1), None
    with closing(events):
        for event in events:
            model_management.throw_exception_if_processing_interrupted()
            if event.steps:
                bar.update_absolute(event.step, event.steps, shown(event.preview))
            clip = event.clip
    assert clip is not None
    return clip


def stepping() -> dict[str, Any]:
    """The settings by which a bridge or a loop shows its steps and previews, and hears Stop."""
    from gen_inbetween.generation.stream import strip

    bar = ProgressBar(1)

    def report(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(step + 1, pipe.num_timesteps, shown(strip(tensors["preview"][0])))
        return {}

    report.only_looks = True  # type: ignore[attr-defined]  # the manifest is that of any other run
    looks: Callable[..., Any] = report
    return {"callback_on_step_end": looks, "callback_on_step_end_tensor_inputs": ("latents", "preview")}


def shown(preview: Image.Image | None) -> tuple[str, Image.Image, int] | None:
    """A strip of frames as ComfyUI takes a preview, folded to a page about as wide as high."""
    if preview is None:
        return None
    count = preview.info.get("frames", 1)
    width, height = preview.width // count, preview.height
    columns = max(1, min(count, round(math.sqrt(count * height / width))))
    page = Image.new("RGB", (columns * width, math.ceil(count / columns) * height))
    for number in range(count):
        frame = preview.crop((number * width, 0, (number + 1) * width, height))
        page.paste(frame, (number % columns * width, number // columns * height))
    scale = max(1, PREVIEW // max(page.size))
    return "JPEG", page.resize((page.width * scale, page.height * scale), Image.Resampling.NEAREST), PREVIEW
