"""Batches: a list of pairs in, a folder of clips out.

Each line is {"frame0": path, "frame1": path, "out": name?, any setting ...}, or that as CSV; paths are relative to the
list. A clip that stands in the output folder under its final name is whole (it is renamed there last), and its manifest
says what was asked for: a batch that was stopped goes on where it was, and a line that has changed is made again.
Shards on machines that share the folder need no scheduler. Under `accelerate launch` every process takes its share of
the shard.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.generation.batches.listed import COLUMNS, FILES, INSTEAD, OWN_KEYS
from gen_inbetween.generation.settings import DEFAULTS, Settings
from gen_inbetween.generation.timeline.keyframe import Keyframe, read_entry
from gen_inbetween.media.reading.sequences import with_images
from gen_inbetween.media.writing.options import PLAIN
from gen_inbetween.media.writing.outputs import check_suffix, place_of
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.files import address_of, check_writable, refused_address
from gen_inbetween.runtime.hashing import file_sha256, files_sha256, image_sha256, short_hash
from gen_inbetween.runtime.lists import Row, read_rows
from gen_inbetween.runtime.outputs import Inputs, check_output, is_ours, reserved, without_folders
from gen_inbetween.runtime.processes import gather, launched_processes, share_of

log = logging.getLogger("gen_inbetween")

MACHINE = ("device", "vram_gb")  # settings that say where a clip is made, not which


@dataclass(frozen=True)
class Pair:
    """One line of the list: its keyframe files, where the clip goes, and how it is made."""

    where: str  # "pairs.jsonl:3"
    frame0: Path
    frame1: Path
    out: Path
    settings: Settings
    keyframes: tuple[Keyframe, ...] = ()  # with their places, where the line lists more than frame0 and frame1

    @property
    def files(self) -> dict[str, Path]:
        """Every keyframe by the name it has in a manifest."""
        paths = [Path(str(keyframe.image)) for keyframe in self.keyframes] or [self.frame0, self.frame1]
        return {f"frame{number}": path for number, path in enumerate(paths)}

    @property
    def places(self) -> list[list[Any]]:
        """(position, strength) of listed keyframes, as JSON has it."""
        return [[keyframe.position, keyframe.strength] for keyframe in self.keyframes]


@dataclass
class Summary:
    """What became of a batch: counts, and one message ("pairs.jsonl:3: ...") for each line that failed."""

    generated: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)


def parse_shard(text: str) -> tuple[int, int]:
    """ "2/8" -> (2, 8): the second of eight shards, counted from 1."""
    index, separator, count = text.partition("/")
    if not (separator and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise ValueError(f"--shard {text!r}: expected i/n with 1 <= i <= n, for example 2/8")
    return int(index), int(count)


def read_pairs(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    defaults: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> list[Pair | str]:
    """The lines of a list, in order: a `Pair`, or for a line that cannot be one the message that says why.

    Args:
        path: JSON lines or CSV (`runtime.lists`); empty lines are passed over.
        out: the folder the clips go to.
        defaults: settings for every line; the line's own win.
        overwrite: replace clips that were not made by this package, too. No keyframe of any line is ever replaced.

    Raises:
        ValueError: the list itself cannot be read, is another kind of file, or holds no line at all.
    """
    path = Path(path)
    try:
        rows = read_rows(path, COLUMNS, ("out", *FILES), INSTEAD)
    except OSError as error:
        raise ValueError(f"{path}: cannot read the list of pairs: {error.strerror or error}") from error
    entries: list[Pair | str] = []
    lines_of: dict[str, int] = {}
    for number, row in rows:
        try:
            pair = parse_row(row, number, path, Path(out), defaults)
            place = _one_name(place_of(pair.out))
            if place in lines_of:
                raise ValueError(f"the same output as line {lines_of[place]}: {pair.out.name}")
        except Exception as error:  # whatever is wrong with one line must not cost the others
            entries.append(f"{path.name}:{number}: {error}")
            continue
        lines_of[place] = number
        entries.append(pair)
    if not entries:
        raise ValueError(f'{path}: no pairs in it; expected one {{"frame0": ..., "frame1": ...}} a line')
    refuse_nested(entries, [number for number, _ in rows], lines_of)
    inputs = Inputs([path, *(file for pair in entries if isinstance(pair, Pair) for file in inputs_of(pair))])
    return [_check_place(entry, inputs, overwrite) for entry in entries]


def refuse_nested(entries: list[Pair | str], numbers: Sequence[int], lines_of: Mapping[str, int]) -> None:
    """Put a message in place of a line whose clip would stand inside of another line's folder of frames, or hold it.

    A folder is replaced as a whole when its clip is made again, with what another line put into it.

    numbers: of the lines of the entries. lines_of: output -> the number of its line.
    """
    earlier: dict[int, int] = {}
    for place, number in lines_of.items():
        folder = place
        while folder != (folder := os.path.dirname(folder)):
            if (other := lines_of.get(folder)) is not None:
                earlier[max(number, other)] = min(number, other)
    for index, (number, entry) in enumerate(zip(numbers, entries, strict=True)):
        if isinstance(entry, Pair) and number in earlier:
            which = f"{entry.out.name} and the output of line {earlier[number]}"
            entries[index] = f"{entry.where}: {which} would stand one inside of the other: name another output"


def inputs_of(pair: Pair) -> list[str | os.PathLike[str] | None]:
    """What the clip of a pair is made from."""
    return with_images([*pair.files.values(), *(getattr(pair.settings, name) for name in manifests.FILES)])


def _check_place(entry: Pair | str, inputs: Inputs, overwrite: bool) -> Pair | str:
    """The line, or, where its clip may not be written, the message that says why."""
    if isinstance(entry, str):
        return entry
    try:
        check_output(place_of(entry.out), inputs, overwrite=overwrite)
    except OSError as error:
        return f"{entry.where}: {error}"
    return entry


def _one_name(path: Path) -> str:
    """Where a clip goes, by one name for each place: links are followed, and capitals where the disk knows none."""
    place = os.path.realpath(path)
    folder = next(parent for parent in Path(place).parents if parent.exists())
    other = Path(str(folder).swapcase())
    return place.casefold() if other != folder and other.exists() and other.samefile(folder) else place


def parse_row(values: Row, number: int, path: Path, out: Path, defaults: Mapping[str, Any]) -> Pair:
    """One row of the list at `path` as a pair; ValueError, OSError: it cannot be one."""
    if isinstance(values, str):
        raise ValueError(values)
    keyframes = _keyframes(values, path.parent)
    chosen = {**defaults, **{key: value for key, value in values.items() if key not in OWN_KEYS}}
    for key in FILES:
        if isinstance(values.get(key), str) and values[key] != INTERPOLATE:
            chosen[key] = str(path.parent / values[key])
    settings = from_mapping(Settings, chosen, where="settings")
    frame0, frame1 = (Path(str(keyframes[number].image)) for number in (0, -1))
    name = values.get("out", default_name(values, chosen))
    if not isinstance(name, str) or "\0" in name:
        raise ValueError(f'"out" must be the name of a file, got {name!r}')
    if address := address_of(name):
        raise ValueError(f"cannot write {address}: it is an address; expected the name of a file")
    target = out / str(name)
    if not target.resolve().is_relative_to(out.resolve()) or target.resolve() == out.resolve():
        raise ValueError(f'"out" must name a file inside the output folder, got {name!r}')
    check_suffix(target, sheet=True)
    if settings.video != PLAIN:
        from gen_inbetween.media.clip import check_output  # here: most lists say nothing of the file, and need no torch

        check_output(target, overwrite=True, video=settings.video)
    check_writable(target)
    several = tuple(keyframes) if "keyframes" in values else ()
    return Pair(f"{path.name}:{number}", frame0, frame1, target, settings, several)


def _keyframes(values: Mapping[str, Any], folder: Path) -> list[Keyframe]:
    """Those of "keyframes", or of "frame0" and "frame1". ValueError: neither, both, no list."""
    entries = values.get("keyframes")
    names = [values.get("frame0"), values.get("frame1"), *(entries if isinstance(entries, list) else ())]
    if address := next(filter(None, (address_of(name) for name in names if isinstance(name, str))), None):
        raise ValueError(refused_address(address))
    if "keyframes" in values:
        if "frame0" in values or "frame1" in values:
            raise ValueError("expected keyframes, or frame0 and frame1, got both")
        if not isinstance(entries, list) or len(entries) < 2:
            raise ValueError(f"expected a list of at least two under keyframes, [a.png, b.png], got {entries!r}")
        return [read_entry(entry, folder) for entry in entries]
    absent = [key for key in ("frame0", "frame1") if not isinstance(values.get(key), str)]
    if absent:
        raise ValueError(f"expected a file name under {' and '.join(absent)}, or a list under keyframes")
    return [Keyframe(str(folder / values[key])) for key in ("frame0", "frame1")]


def default_name(values: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """The name of a clip whose row gives none. chosen: the settings of the row over those of all."""
    # The name carries what was asked for: lines may move in the list, and a changed setting is another clip.
    if "keyframes" in values:
        names = [str(read_entry(entry).image) for entry in values["keyframes"]]
        return f"{Path(names[0]).stem}_{Path(names[-1]).stem}_{short_hash([values['keyframes'], chosen])}.mp4"
    stems = f"{Path(values['frame0']).stem}_{Path(values['frame1']).stem}"
    return f"{stems}_{short_hash([values['frame0'], values['frame1'], chosen])}.mp4"


def run_batch(
    entries: list[Pair | str],
    *,
    shard: tuple[int, int] = (1, 1),
    notify: Callable[[Pair, str], None] = lambda pair, state: None,
    overwrite: bool = False,
) -> Summary:
    """Make the clips of this shard, in order, going on after a line that fails.

    Args:
        entries: what `read_pairs` returned.
        shard: (i, n): every n-th line, starting with the i-th.
        notify: called with each pair and "skipped", "made", "made again" or "failed".
        overwrite: replace clips that were not made by this package, too.

    Returns:
        The summary of all processes of an `accelerate launch`, the same in each of them; otherwise of this one.
    """
    state = launched_processes()
    summary = Summary()
    device = None if state is None else str(state.device)
    for entry in share_of(entries[shard[0] - 1 :: shard[1]], state):
        if isinstance(entry, str):
            summary.failures.append(entry)
            log.error("%s", entry)
            continue
        try:
            with reserved(place_of(entry.out)):
                outcome = make_pair(entry, device, overwrite)
        except Exception as error:  # one bad pair must not cost the thousand after it; it is named and counted
            summary.failures.append(f"{entry.where}: {error}")
            log.error("%s", summary.failures[-1])
            log.debug("traceback", exc_info=True)
            outcome = "failed"
        summary.generated += outcome.startswith("made")
        summary.skipped += outcome == "skipped"
        notify(entry, outcome)
    return summed(gather([summary], state))


def make_pair(pair: Pair, device: str | None, overwrite: bool) -> str:
    """Make the clip of a line, unless it is there already: "made", "made again" or "skipped"."""
    request, outcome = request_of(pair), "made"
    check_output(place_of(pair.out), inputs_of(pair), overwrite=overwrite)
    place = place_of(pair.out)
    if os.path.lexists(place) and is_ours(place):
        manifests.complete(place)
        manifest = manifests.of_clip(place)
        difference = changed_since(manifest, request, pair)
        if manifest is not None and difference is None and not manifests.is_as_written(manifest, place):
            difference = "its file is not as it was written"
        if difference is None:
            return "skipped"
        log.info("%s: %s is made again: %s", pair.where, pair.out.name, difference)
        outcome = "made again"
    from gen_inbetween.generation import generate  # here: a bad list is refused without waiting for torch

    settings = pair.settings if device is None else replace(pair.settings, device=device)
    sources: tuple[Any, Any] = (list(pair.keyframes), None) if pair.keyframes else (pair.frame0, pair.frame1)
    clip = generate.generate_clip(*sources, settings, progress=False)
    if clip.manifest is not None:
        clip.manifest["request"] = request
    clip.save(pair.out, overwrite=overwrite)
    return outcome


def request_of(pair: Pair) -> dict[str, Any]:
    """What a line asks for, as the manifest of its clip keeps it: hashes of its files, and the settings it gives."""
    every = asdict(pair.settings)
    settings = {name: every[name] for name in every if getattr(pair.settings, name) != DEFAULTS[name]}
    named = {name: Path(settings[name]) for name in ("motion", "interpolator") if isinstance(settings.get(name), str)}
    named |= {name: Path(settings[name]) for name in FILES if isinstance(settings.get(name), str)}
    files = pair.files | named
    hashes = {name: file_sha256(file) for name, file in files.items() if file.is_file()}
    hashes |= weights_of(pair.settings)
    kept = {name: value for name, value in settings.items() if name not in MACHINE}
    places = {"places": pair.places} if pair.places else {}
    return {"files": hashes, "settings": json.loads(json.dumps(kept)), **places}


def weights_of(settings: Settings) -> dict[str, str]:
    """Hashes of a model, and of a folder with a motion, that a line names by a path; names alone tell no two apart.

    A model's are kept between runs, see `models.layout.folder_sha256`. ModelError: the folder is none.
    """
    from gen_inbetween.models.layout import folder_sha256  # here: a bad list is refused without waiting for the hub
    from gen_inbetween.runtime.hub import BUNDLED, HUB_IDS

    model, named = Path(os.path.expanduser(settings.model)), (DEFAULTS["model"], *HUB_IDS, *BUNDLED)
    hashes = {"model": folder_sha256(model)} if settings.model not in named and model.exists() else {}
    motion = Path(os.path.expanduser(settings.motion or ""))
    if settings.motion and motion.is_dir():
        hashes["motion"] = files_sha256(sorted(motion.glob("**/*.safetensors")))
    return hashes


def changed_since(manifest: dict[str, Any] | None, request: dict[str, Any], pair: Pair) -> str | None:
    """What a line asks for differently than the clip that is there was made, in words; None: nothing."""
    if manifest is None:
        return "nothing says how it was made"
    earlier = manifest.get("request")
    if not isinstance(earlier, dict):  # made by `inbetween run`, or by a batch of before
        settings = _object(manifest.get("settings"))
        earlier = {"settings": {name: settings.get(name) for name in request["settings"]}}
    before, now = (without_folders(_object(said)) for said in (earlier.get("settings"), request["settings"]))
    for name in [*now, *(name for name in before if name not in now)]:
        if before.get(name, DEFAULTS.get(name)) != now.get(name, DEFAULTS[name] if name in DEFAULTS else None):
            return f"{name} was {before.get(name, 'not said')}, and is {now.get(name, 'not said')}"
    if earlier.get("places") != request.get("places"):
        return "the places of the keyframes have changed"
    files = _object(earlier.get("files"))
    if set(files) - {*request["files"], "model"}:  # a model that is gone can be compared with nothing
        return "it went through more keyframes"
    if "model" in request["files"] and "model" not in files:  # a manifest of before
        files = {**files, "model": _object(manifest.get("model")).get("sha256")}
    for name, sha256 in request["files"].items():
        if files.get(name) != sha256 and not _is_same_picture(name, manifest, pair):
            return f"{name} has changed"
    return None


def _object(value: Any) -> dict[str, Any]:
    """A part of a manifest that is an object; {} where it is missing, or somebody made it something else."""
    return value if isinstance(value, dict) else {}


def _is_same_picture(name: str, manifest: dict[str, Any], pair: Pair) -> bool:
    """Whether a keyframe whose file is another, or was not noted, shows what it did."""
    from gen_inbetween.media.image import load_image

    record = _object(manifest.get("frames")).get(name)
    if not isinstance(record, dict) or name not in pair.files:
        return False
    image = load_image(pair.files[name], background=pair.settings.background)
    return bool(image_sha256(image) == record.get("sha256"))


def summed(parts: list[Summary]) -> Summary:
    """Summaries of several processes as one."""
    failures = [failure for part in parts for failure in part.failures]
    return Summary(sum(part.generated for part in parts), sum(part.skipped for part in parts), failures)
