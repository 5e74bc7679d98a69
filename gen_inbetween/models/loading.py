"""Pipelines opened by the name of their model, the last two kept.

    pipe = open_pipeline("pocket-2")

Weights are fetched here only, never at import.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from gen_inbetween.diffusion.motion_files import check_motion_file
from gen_inbetween.models.layout import folder_sha256, model_files
from gen_inbetween.models.registry import ModelSpec, resolve_model
from gen_inbetween.models.single_file_weights import read_components
from gen_inbetween.runtime.devices import default_device, default_dtype
from gen_inbetween.runtime.hashing import FileState, file_state
from gen_inbetween.runtime.hub import ModelError, hub_errors
from gen_inbetween.runtime.messages import warn_once
from gen_inbetween.runtime.trust.limits import open_tensors, shorten

if TYPE_CHECKING:
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline


def open_pipeline(
    model: str | Path | ModelSpec = "auto",
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    motion: str | Path | None = "default",
    kernel: str = "sdpa",
    shared: bool = True,
) -> InbetweenPipeline:
    """The pipeline of `model` with its backward motion, kept for the next call with the same arguments.

    Args:
        model: what `resolve_model` takes, or what it returned.
        device: default cuda, mps or cpu, the first there is.
        dtype: default `default_dtype(device)`.
        motion: a file or folder for `load_motion`; "default" for the model's own, if it has one; None for no motion.
        kernel: what computes the attention, "sdpa" (torch's own) or "xformers" (an extra; needs a GPU).
        shared: the two last pipelines are kept, and what one caller changes in them, the next one gets. False: the
            pipeline is the caller's own.

    Raises:
        ModelError: as `resolve_model`, and weights that cannot be fetched or loaded.
        MotionError: as `load_motion`.
        RuntimeError: xformers is not there or does not run.
    """
    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    device = torch.device(device) if device is not None else default_device()
    dtype = dtype or default_dtype(device)
    motion_file = spec.motion_file(motion)
    if spec.license_notice:
        warn_once(spec.license_notice)
    load = _open if shared else _open.__wrapped__
    path = None if motion_file is None else Path(os.path.expanduser(motion_file)).resolve()
    with _opening:  # one at a time: threads that want the same model get the same, and diffusers is not made for more
        if motion_file is not None:
            check_motion_file(motion_file)  # before the model is opened for it
        motion_files = [] if path is None else [path, *sorted(path.glob("**/*.safetensors"))]
        states = file_states((*model_files(spec.source), *motion_files))
        return load(spec, device, dtype, kernel, None if path is None else str(path), states)


_opening = threading.RLock()


@contextmanager
def loading_bars(shown: bool) -> Iterator[None]:
    """Hide the bars with which diffusers and transformers load weights, unless `shown`, for the time of a `with`."""
    if shown:
        yield
        return
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = [each for each in (diffusers_logging, transformers_logging) if each.is_progress_bar_enabled()]
    for library in libraries:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in libraries:
            library.enable_progress_bar()


def close_pipelines() -> None:
    """Let go of the pipelines that `open_pipeline` keeps, and of their memory where nobody else holds them."""
    _open.cache_clear()


def fetch_weights(spec: ModelSpec) -> ModelSpec:
    """The spec with its source on this machine, whose weights are downloaded where they are not here yet.

    ModelError: they cannot be had, or are none, which is told before they are hashed.
    """
    if Path(spec.source).exists():
        check_headers(spec.source)
        return spec
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline

    if spec.license_notice:
        warn_once(spec.license_notice)
    with hub_errors(spec.source):
        folder = str(InbetweenPipeline.download(spec.source, variant=spec.variant))
    return replace(spec, source=folder)


def file_states(files: Iterable[Path]) -> tuple[tuple[str, FileState], ...]:
    """The files that are there, by their paths, with what shows that one was written or replaced."""
    return tuple((str(file), file_state(file)) for file in files if file.is_file())


def check_unchanged(pipe: InbetweenPipeline) -> None:
    """That the weights in memory are those that were hashed; to be asked after a run, before its manifest is written.

    On a CPU they are read from the disk as they are needed, so a file that was written into (not: replaced by another
    of its name) has changed them.

    Raises:
        ModelError: they were changed while the pipeline was open.
    """
    if pipe.weights_folder is None:
        return
    files = model_files(pipe.weights_folder)
    before = dict(pipe.weights_states)
    touched = [file for file in files if before.get(str(file), file_state(file)) != file_state(file)]
    inside = [file for file in touched if before[str(file)][0] == file_state(file)[0]]
    if inside and pipe.device.type == "cpu" and folder_sha256(pipe.weights_folder, again=True) != pipe.weights_sha256:
        raise ModelError(
            f"{inside[0]} was written into while the model was in use, so nobody can say what made this clip: make it "
            "again; to replace weights that are in use, write another file and rename it"
        )


WEIGHT_DTYPES = ("F64", "F32", "F16", "BF16")
COUNTERS = ("position_ids", "num_batches_tracked")  # what transformers and torch keep beside weights, whole numbers


def check_headers(source: str) -> None:
    """`check_dtypes` of all weights of a model folder."""
    for file in model_files(source) if Path(source).is_dir() else ():
        if file.suffix == ".safetensors":
            check_dtypes(file)


def check_dtypes(file: Path) -> None:
    """ModelError where a file of weights is cut off or holds tensors that are no real numbers; reads its header."""
    try:
        with open_tensors(file) as weights:
            for name in weights.keys():
                dtype = str(weights.get_slice(name).get_dtype())
                if dtype not in WEIGHT_DTYPES and not name.endswith(COUNTERS):
                    raise ModelError(f"{file}: {shorten(name)} holds {dtype}, which are no weights; get it again")
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ModelError(f"cannot load {file}: {shorten(error, 300)}; get it again") from error


@lru_cache(maxsize=2)  # SVD-XT is 4.5 GB in half precision: enough to compare two, not to fill the memory
def _open(
    spec: ModelSpec,
    device: torch.device,
    dtype: torch.dtype,
    kernel: str,
    motion: str | None,
    states: tuple[tuple[str, FileState], ...],
) -> InbetweenPipeline:
    """`states` is in the signature so that weights that were replaced are loaded anew, and bound to their hash."""
    from gen_inbetween.diffusion.attention import open_kernel
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline

    open_kernel(kernel)  # before anything is loaded
    check_headers(spec.source)
    try:
        with hub_errors(spec.source), warnings.catch_warnings():
            # Older diffusers know this name only and ignore the other, newer ones know both and deprecate this one.
            warnings.filterwarnings("ignore", message=".*torch_dtype.*", category=FutureWarning)
            options: dict[str, Any] = {"variant": spec.variant, "torch_dtype": dtype}
            pipe: Any
            if Path(spec.source).is_file():
                pipe = InbetweenPipeline(**read_components(Path(spec.source), dtype))
            else:
                pipe = InbetweenPipeline.from_pretrained(spec.source, motion=None, **options)
    except (ModelError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # the hub's own are told above: these files are here, and broken in one of many ways
        message = shorten(str(error), 300) or type(error).__name__
        raise ModelError(f"cannot load {spec.source}: {message}; get it again") from error
    pipe.to(device)
    if kernel == "xformers":  # first, because it replaces every processor; then ours
        pipe.unet.enable_xformers_memory_efficient_attention()
    if motion is not None:
        pipe.load_motion(motion, kernel=kernel)
    opened: InbetweenPipeline = pipe
    files = model_files(spec.source)
    if files:
        opened.weights_folder, opened.weights_sha256 = spec.source, folder_sha256(spec.source)
        opened.weights_states = states
    if not set(file_states(files)) <= set(states):
        raise ModelError(f"{spec.source} was changed while it was being opened: open it again when it is whole")
    return opened
