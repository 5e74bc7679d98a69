"""FILM (ECCV 2022), from a TorchScript archive of the user.

The port is dajes/frame-interpolation-pytorch's (Apache-2.0). The archive brings its own network: film_net_fp32.pt and
film_net_fp16.pt take two frames whose sides are multiples of 64 and a time (B, 1), and were trained at t = 1/2 only.
Other times are reached by halving.
"""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation.interpolator import (
    Flows,
    FrameInterpolator,
    InterpolatorError,
    InterpolatorInfo,
    Reference,
    Time,
    check_frames,
    check_kind,
    padding_to,
    time_map,
)
from gen_inbetween.interpolation.recursive_midpoint import recursive_midpoint_batch
from gen_inbetween.runtime.trust.limits import TRUST_VARIABLE, UntrustedError, check_archive, programs_are_trusted

PARTS = {"extract", "predict_flow", "fuse"}  # the top modules of the port
INFO = InterpolatorInfo("film", "FILM", "film_net, TorchScript", "midpoint", 64, "Apache-2.0")


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive; reads its table of contents only.

    InterpolatorError: it is one, and named .safetensors, which would be no program.
    """
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            program = any("/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False
    if program and path.suffix == ".safetensors":
        raise InterpolatorError(f"{path} is a TorchScript program under the name of safetensors: not opened")
    return program


def check_trusted(path: Path) -> None:
    """InterpolatorError unless the caller trusts programs, and this one does not inflate to many times its size."""
    if not programs_are_trusted():
        raise InterpolatorError(
            f"{path} is TorchScript, a program that would run on this machine: if you trust where it comes from, say "
            f"--trust, load_interpolator(..., trust=True), or {TRUST_VARIABLE}=1"
        )
    try:
        check_archive(path)
    except UntrustedError as error:
        raise InterpolatorError(str(error)) from error


class FilmInterpolator(FrameInterpolator):
    """The network of the archive at `path`, computing in float32.

    A TorchScript archive is a program: torch runs it in its own interpreter, without Python, but open only one from a
    source you trust, and say so (`trusting_programs`). InterpolatorError: nobody did, the archive cannot be opened, or
    it holds another network.
    """

    def __init__(self, path: Path, sha256: str, device: torch.device) -> None:
        self.device = device
        check_trusted(path)
        try:
            self.network: Any = torch.jit.load(str(path), map_location=device).float().eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise InterpolatorError(f"{path} cannot be opened as TorchScript; it may be cut off") from error
        state = self.network.state_dict()
        parts = {name.split(".")[0] for name in state}
        if parts != PARTS:
            raise InterpolatorError(
                f"{path} is TorchScript, but not the FILM port: expected the parts {', '.join(sorted(PARTS))}, "
                f"found {', '.join(sorted(parts)) or 'none'}"
            )
        parameters = sum(tensor.numel() for tensor in state.values())
        self.info = replace(INFO, name=path.name, parameters=parameters, sha256=sha256)

    @torch.no_grad()
    def __call__(self, a: Tensor, b: Tensor, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """See `FrameInterpolator`."""
        check_frames(a, b)
        check_kind(self.info.kind, t, ref, iters)
        return recursive_midpoint_batch(self._middle, a, b, time_map(t, a)[:, 0, 0, 0].tolist())

    def flows(self, a: Tensor, b: Tensor, t: Time) -> Flows:
        """Not to be had: the archive returns frames only. Always InterpolatorError."""
        raise InterpolatorError("the FILM archive returns frames, no flows; use another interpolator for those")

    def _middle(self, a: Tensor, b: Tensor) -> Tensor:
        height, width = a.shape[-2:]
        padding = padding_to((height, width), self.info.multiple)
        a, b = (functional.pad(image, padding, mode="replicate") for image in (a, b))
        frame = self.network(a, b, a.new_full((len(a), 1), 0.5))
        return frame[..., :height, :width].clamp(0, 1)
