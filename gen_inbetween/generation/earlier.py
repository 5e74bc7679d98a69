"""Earlier clip of a replay, as its manifest describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from typing_extensions import NotRequired, TypedDict

from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.media.reading.sequences import is_pattern
from gen_inbetween.memory.options import MemoryOptions
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.manifest import ManifestError, find_file
from gen_inbetween.runtime.trust.limits import UntrustedError, checked, shorten


class FrameRecord(TypedDict):
    path: NotRequired[str | None]
    sha256: str
    position: NotRequired[int | None]
    strength: NotRequired[Annotated[float, Field(ge=0, le=1)]]


class WeightsRecord(TypedDict):
    sha256: str | None
    scale: NotRequired[float]


class InterpolatorRecord(WeightsRecord):
    name: str
    kind: str


class Rate(TypedDict):
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Common(TypedDict):
    """What a replay reads of every manifest; `Settings` and `MemoryOptions` look at theirs."""

    settings: Rate
    frames: dict[str, FrameRecord]
    versions: dict[str, str | None]


class Sampled(Common):
    model: WeightsRecord
    motion: WeightsRecord | None
    memory: dict[str, Any]
    latents_sha256: str


class InterpolatedSettings(Rate):
    interpolator: NotRequired[str | None]


class Interpolated(Common):
    settings: InterpolatedSettings  # type: ignore[misc]
    interpolator: InterpolatorRecord
    frames_sha256: str


class SourceRecord(TypedDict):
    path: str | None
    frames_sha256: NotRequired[str]  # of clips; a mask has none


class JoinRecord(TypedDict):
    kind: Literal["bridge", "loop", "retake"]
    asked: dict[str, Any]


class Joined(TypedDict):
    settings: Rate
    join: JoinRecord
    source: dict[str, SourceRecord]
    frames_sha256: str


SAMPLED: TypeAdapter[Sampled] = TypeAdapter(Sampled)
INTERPOLATED: TypeAdapter[Interpolated] = TypeAdapter(Interpolated)
JOINED: TypeAdapter[Joined] = TypeAdapter(Joined)
OPTIONS = ("frame0", "frame1", "still", "draft")  # parts that are passed again under their own names
SOURCES = {"bridge": [["clip_a", "clip_b"]], "loop": [["clip"], ["picture"]], "retake": [["clip"]]}  # of each kind


def check_join(manifest: dict[str, Any], path: str) -> list[str]:
    """The names of the clips that a bridge, loop or retake was made from, in order.

    ManifestError: a part that a replay reads is missing or of another kind.
    """
    try:
        checked(JOINED, manifest, path)
    except UntrustedError as error:
        raise ManifestError(str(error)) from error
    names = [name for name in manifest["source"] if name != "mask"]
    kind = manifest["join"]["kind"]
    if names not in SOURCES[kind]:
        known = " or ".join(" and ".join(each) for each in SOURCES[kind])
        raise ManifestError(f"{path}: a {kind} is made from {known}, found {shorten(', '.join(names) or 'nothing')}")
    return names


def find_source(name: str, manifest: dict[str, Any], path: str, option: str) -> str:
    """Where a clip or a mask is that was a file; ManifestError: it was none, or is gone. option: what takes it now."""
    named = manifest["source"][name]["path"]
    if named is None:
        raise ManifestError(f"{path}: its {name} was given in memory: pass it again ({option})")
    place: str | None = named if is_pattern(Path(named)) else find_file(named, path)
    if place is None:
        raise ManifestError(f"{path}: its {name} is no longer at {shorten(named, 300)}: pass it again ({option})")
    return place


@dataclass(frozen=True)
class EarlierClip:
    """The clip that is made again: where its manifest is, and what it says."""

    path: str
    manifest: dict[str, Any]

    @property
    def fps(self) -> float:
        """`interpolate_pair` takes any rate, which for interpolation is but a label."""
        fps: float = self.manifest["settings"]["fps"]
        return fps

    @property
    def memory(self) -> MemoryOptions:
        """Its memory options; ConfigError where the manifest has others."""
        return from_mapping(MemoryOptions, self.manifest["memory"], where=self.path)

    @property
    def compared(self) -> str:
        """What is held against the new clip's: the "latents", or the "frames" of an interpolated clip.

        ManifestError: the manifest is of another kind of work, or has no hash of either.
        """
        if "join" in self.manifest:
            raise ManifestError(
                f"{self.path}: a {self.manifest['join'].get('kind')}, which `inbetween replay` and "
                "generation.joins.replay_join make again"
            )
        method = (self.manifest.get("settings") or {}).get("method")
        what = "frames" if method == INTERPOLATE else "latents"
        if method not in (*METHODS, INTERPOLATE):
            raise ManifestError(
                f"{self.path}: made by {shorten(method or 'another command')}; replay makes clips of `inbetween run` "
                "and `inbetween batch` again, and of interpolate_pair: run the other command again"
            )
        if f"{what}_sha256" not in self.manifest:
            raise ManifestError(f"{self.path}: no hash of the clip's {what} in it, so nothing to compare them with")
        return what

    @property
    def keyframes(self) -> list[str]:
        """The names of its keyframes in order, whatever order its file has them in."""
        return [f"frame{number}" for number in range(len(self.manifest["frames"].keys() - {"still", "draft"}))]

    def check(self) -> None:
        """ManifestError where a part that a replay reads is missing or of another kind."""
        try:
            checked(INTERPOLATED if self.compared == "frames" else SAMPLED, self.manifest, self.path)
        except UntrustedError as error:
            raise ManifestError(str(error)) from error
        frames = self.manifest["frames"].keys()
        if len(frames & {"frame0", "frame1"}) < 2 or frames - {"still", "draft"} != set(self.keyframes):
            expected = "expected frame0, frame1 and so on, still and draft among its frames"
            raise ManifestError(f"{self.path}: {expected}, found {shorten(', '.join(frames) or 'none')}")

    def find_keyframe(self, name: str, frame: Any) -> Any:
        """The keyframe, mask or draft that was given now, or else the file that the manifest names."""
        path = self.manifest["frames"][name].get("path")
        if frame is not None:
            return frame
        how = f"{name}=, or --{name} FILE" if name in OPTIONS else "all keyframes, by keyframes=, or --keyframe FILE"
        if path is None:
            raise ManifestError(f"{name} was given in memory, not as a file: pass it again ({how})")
        place = find_file(path, self.path)
        if place is None:
            raise ManifestError(f"{name} is no longer at {shorten(path, 300)}: say where it is ({how})")
        return place

    def check_keyframes(self, record: dict[str, dict[str, str | None]]) -> None:
        """ManifestError for a keyframe that is another picture than it was."""
        for name, frame in record.items():
            if frame["sha256"] != self.manifest["frames"][name]["sha256"]:
                picture = frame["path"] or "what was given"
                raise ManifestError(f"{name} has changed since: {picture} is not the picture the clip was made from")

    def check_weights(self, model: dict[str, Any], motion: dict[str, Any] | None) -> None:
        """ManifestError for other weights than the clip was made with."""
        for name, record in (("model", model), ("motion", motion)):
            if (record or {}).get("sha256") != (self.manifest[name] or {}).get("sha256"):
                raise ManifestError(f"the {name} has changed since: other weights than the clip was made with")
        before, now = ((record or {}).get("scale", 1) for record in (self.manifest["motion"], motion))
        if before != now:
            raise ManifestError(f"the scale of the motion was {before:g} and is {now:g}: set motion_scale={before:g}")

    def compare(self, parts: dict[str, Any]) -> dict[str, Any]:
        """The part "replay" of the new clip's manifest."""
        key = f"{self.compared}_sha256"
        return {"of": self.path, f"{self.compared}_equal": parts[key] == self.manifest[key]}
