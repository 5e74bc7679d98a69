"""Evaluation methods: the interface, true clips, folders of other tools, baselines.

A method is a row of the tables. What differs from one kind to another is asked of the method itself, so that a new
kind is a subclass of `Method` (or of `GeneratedMethod`, if it makes clips) and a line where methods are opened.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.evaluation.clip_store import (
    GeneratedClip,
    find_clip,
    read_checked_clip,
    read_clip,
)
from gen_inbetween.evaluation.settings import TRUTH, EvaluationError
from gen_inbetween.interpolation.interpolator import check_kind
from gen_inbetween.interpolation.pairs import inbetween_frames
from gen_inbetween.interpolation.registry import DEFAULT, INTERPOLATORS, load_interpolator
from gen_inbetween.media.fit import crossfade
from gen_inbetween.runtime.cost import measure_cost
from gen_inbetween.runtime.hashing import files_sha256, short_hash
from gen_inbetween.runtime.messages import nearest_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric
    from gen_inbetween.evaluation.pairs.pair import Pair
    from gen_inbetween.evaluation.pairs.truth import Truths

CROSSFADE = "crossfade"
LONGEST_LABEL = 100  # bytes: it is part of the names of folders, and heads a column
BASELINES = (CROSSFADE, *(name for name in INTERPOLATORS if name != "blend"))
OPTIONS = ("interpolator", "iters")  # of {method: interpolate}


@dataclass(frozen=True)
class Method(ABC):
    """A row of the tables: where its clips come from, and what they are scored by."""

    label: str
    decided_by: Mapping[str, Any]  # plain values that decide its pixels, given a pair and a seed

    seeded: ClassVar[bool] = False  # whether another seed is another clip
    generates: ClassVar[bool] = False  # whether its clips are made here, by `generate`

    @cached_property
    def key(self) -> str:
        """Its label and a hash of `decided_by`: the name of its folders, so that a changed option is another folder."""
        return f"{self.label}-{short_hash(self.decided_by)}"

    def request(self, pair: Pair, seed: int) -> dict[str, Any]:
        """Everything that decides one clip, as JSON gives it back."""
        facts = {name: getattr(pair, name) for name in ("name", "sha256", "num_frames", "fps", "motion_bucket_id")}
        facts |= {"keyframes": pair.keyframes} if pair.keyframes > 2 else {}
        request: dict[str, Any] = json.loads(json.dumps({"method": self.decided_by, "pair": facts, "seed": seed}))
        return request

    @abstractmethod
    def folder(self, pair: Pair, seed: int) -> Path | None:
        """The folder or video of a clip, generated or not yet; None where it is in no file."""

    @abstractmethod
    def frames(self, pair: Pair, seed: int) -> NDArray[np.uint8]:
        """The clip to be scored, (F, H, W, 3) RGB. ClipError, PairError, VideoError: it cannot be read."""

    def metrics(self, metrics: Mapping[str, ClipMetric]) -> dict[str, ClipMetric]:
        """Those of the metrics that apply to its clips."""
        return dict(metrics)

    @property
    def model(self) -> str | None:
        """What has to be opened to generate: methods of one model follow each other. None: nothing large."""
        return None

    def generate(self, pair: Pair, keyframes: Sequence[Image.Image], seed: int) -> GeneratedClip:
        """The clip of `pair.num_frames` frames through keyframes of the evaluation's size, at `pair.positions`."""
        raise NotImplementedError(f"the clips of {self.label} are not generated here")

    def location(self) -> str:
        """Where all its clips are, as run.json says it: an own folder, or one relative to the output folder."""
        return f"clips/{self.key}"


@dataclass(frozen=True)
class TrueClips(Method):
    """The true clips as a method: what the others are compared with, and the floor of every metric."""

    truths: Truths

    def folder(self, pair: Pair, seed: int) -> Path | None:
        """None: true clips are decoded or drawn anew."""
        return None

    def frames(self, pair: Pair, seed: int) -> NDArray[np.uint8]:
        """The true clip at the size of the evaluation."""
        return self.truths(pair).frames

    def metrics(self, metrics: Mapping[str, ClipMetric]) -> dict[str, ClipMetric]:
        """Without those that would compare the truth with itself, but for those that are best at the truth's value."""
        return {name: each for name, each in metrics.items() if "truth" not in each.needs or each.better == "truth"}


@dataclass(frozen=True)
class FolderMethod(Method):
    """Clips made by any other tool, read where they are: see `clip_store.find_clip`."""

    root: Path
    size: tuple[int, int]  # (width, height)

    def request(self, pair: Pair, seed: int) -> dict[str, Any]:
        """As `Method.request`, with the hash of the files. ClipError: the pair has none."""
        clip = self.folder(pair, seed)
        files = [path for path in sorted(clip.iterdir()) if path.is_file()] if clip.is_dir() else [clip]
        return super().request(pair, seed) | {"files": files_sha256(files)}

    def folder(self, pair: Pair, seed: int) -> Path:
        """The pair's folder or video. ClipError: there is neither."""
        return find_clip(self.root, pair)

    def frames(self, pair: Pair, seed: int) -> NDArray[np.uint8]:
        """As `clip_store.read_checked_clip`."""
        return read_checked_clip(self.folder(pair, seed), pair.num_frames, *self.size)

    def location(self) -> str:
        """The other tool's folder."""
        return str(self.root)


@dataclass(frozen=True)
class GeneratedMethod(Method):
    """A method whose clips are generated here and kept below the output folder."""

    output: Path  # of the evaluation

    generates: ClassVar[bool] = True

    @abstractmethod
    def generate(self, pair: Pair, keyframes: Sequence[Image.Image], seed: int) -> GeneratedClip:
        """As `Method.generate`."""

    def folder(self, pair: Pair, seed: int) -> Path:
        """output/clips/<key>/<pair>/seed<k>."""
        return self.output / "clips" / self.key / pair.name / f"seed{seed}"

    def frames(self, pair: Pair, seed: int) -> NDArray[np.uint8]:
        """As they were kept."""
        return read_clip(self.folder(pair, seed))


@dataclass(frozen=True)
class Baseline(GeneratedMethod):
    """An interpolation without noise: one clip a pair, whatever the seeds."""

    interpolate: Callable[[Image.Image, Image.Image, int], list[Image.Image]]  # (frame0, frame1, num_frames)

    def generate(self, pair: Pair, keyframes: Sequence[Image.Image], seed: int) -> GeneratedClip:
        """As `Method.generate`; the seed is not looked at."""
        with measure_cost(torch.device("cpu")) as cost:
            frames = [keyframes[0]]
            for number in range(len(keyframes) - 1):
                count = pair.positions[number + 1] - pair.positions[number] + 1
                frames += self.interpolate(keyframes[number], keyframes[number + 1], count)[1:]
        return GeneratedClip(frames, passes=0, **cost)


def open_baseline(
    label: str, entry: Mapping[str, Any], size: tuple[int, int], output: Path, device: str = "cpu"
) -> Baseline:
    """{baseline: name of BASELINES}; "flow-<name>" is understood as <name>.

    Raises:
        EvaluationError: no such baseline, naming the nearest; or a package that it needs is missing.
        InterpolatorError: its weights are not on this machine.
    """
    check_alone(entry, "baseline")
    name = str(entry["baseline"]).removeprefix("flow-")
    if name not in BASELINES:
        near = nearest_names(name, BASELINES)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise EvaluationError(f"expected a baseline out of {', '.join(BASELINES)}, got {name!r}{hint}")
    if name == CROSSFADE:
        return Baseline(label, {**entry, "size": size}, output, crossfade)
    try:
        interpolate, weights = open_interpolation(name, device)
    except ImportError as error:
        raise EvaluationError(f"baseline {name} cannot be opened: {error}") from error
    return Baseline(label, {**entry, "size": size, **weights}, output, interpolate)


def open_interpolate(
    label: str, entry: Mapping[str, Any], size: tuple[int, int], output: Path, device: str = "cpu"
) -> Baseline:
    """{method: interpolate, interpolator: name or file, iters: n}: a baseline that need not be in BASELINES."""
    foreign = next((key for key in entry if key not in ("method", *OPTIONS)), None)
    if foreign:
        raise EvaluationError(f"method {entry['method']} takes {' and '.join(OPTIONS)} here, got {foreign!r}")
    name = entry.get("interpolator") or DEFAULT
    interpolate, weights = open_interpolation(name, device, 1 if entry.get("iters") is None else entry["iters"])
    decided_by = {**entry, "method": INTERPOLATE, "interpolator": name, "size": size, **weights}
    return Baseline(label, decided_by, output, interpolate)


def open_interpolation(
    name: str, device: str, iters: int = 1
) -> tuple[Callable[[Image.Image, Image.Image, int], list[Image.Image]], dict[str, Any]]:
    """An interpolator of INTERPOLATORS or a file of weights, at equal steps of time; and the version and hash of it."""
    interpolator = load_interpolator(name, device=device)
    check_kind(interpolator.info.kind, 0.5, None, iters)

    def interpolate(frame0: Image.Image, frame1: Image.Image, num_frames: int) -> list[Image.Image]:
        return inbetween_frames(frame0, frame1, num_frames, interpolator, iters=iters)

    return interpolate, {"version": interpolator.info.version, "sha256": interpolator.info.sha256}


def open_folder(label: str, entry: Mapping[str, Any], size: tuple[int, int]) -> FolderMethod:
    """{folder: PATH}; its clips are looked at one by one, later. EvaluationError: no such folder."""
    check_alone(entry, "folder")
    if not isinstance(entry["folder"], str | os.PathLike):
        raise EvaluationError(f"expected the path of a folder, got {entry['folder']!r}")
    folder = Path(os.path.expanduser(entry["folder"])).resolve()
    if not folder.is_dir():
        raise EvaluationError(f"no such folder: {folder}")
    return FolderMethod(label, {"folder": str(folder), "size": size}, folder, size)


def check_label(label: str) -> None:
    """EvaluationError for a label that cannot name a folder, or that is the true clips' own."""
    if label == TRUTH or not label or label[0] in ". " or label[-1] in ". " or set(label) & set('/\\:*?"<>|'):
        raise EvaluationError(f"expected a label that can be part of a folder's name and is not {TRUTH!r}")
    if not label.isprintable():
        raise EvaluationError("expected a label without line breaks, tabs and other signs that cannot be seen")
    if len(label.encode()) > LONGEST_LABEL:
        raise EvaluationError(f"expected a label of {LONGEST_LABEL} bytes at most, got {len(label.encode())}")


def check_alone(entry: Mapping[str, Any], kind: str) -> None:
    """EvaluationError where a baseline or folder is given options, which it would not look at."""
    if set(entry) != {kind}:
        raise EvaluationError(f"a {kind} takes no further options, got {', '.join(sorted(set(entry) - {kind}))}")
