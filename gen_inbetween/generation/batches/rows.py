"""One row of a batch, made wherever its keyframes and its clip are.

Where the list, a keyframe or the output is in an object store (`runtime.stores`), the keyframes are fetched into a
folder that is deleted afterwards, the clip is made there as any other, and then published: the clip, its manifest, and
last its key in the index of what is done. A key is made from what the row asks for and the store's hash of its clip, so
that one request tells whether the clip is still there and still that one. Where a key is not in the index, the clip is
fetched: the row is done if the clip is as its manifest says, and was made from what the row asks for.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.generation import batch
from gen_inbetween.generation.batches.listed import FAILED, MADE, OWN_KEYS, PICTURES, SKIPPED, names_in
from gen_inbetween.generation.timeline.keyframe import read_entry
from gen_inbetween.media.writing.outputs import place_of
from gen_inbetween.runtime.files import OutputError, address_of
from gen_inbetween.runtime.lists import Row
from gen_inbetween.runtime.outputs import ENDING, BusyError, path_beside, reserved
from gen_inbetween.runtime.processes import gather, launched_processes, share_of
from gen_inbetween.runtime.remote.stores import DoneIndex, Store, StoreError, key_of, local_or_address
from gen_inbetween.runtime.trust.limits import shorten

log = logging.getLogger("gen_inbetween")

TRIES, PAUSE = 3, 1.0  # of a row whose store fails; seconds before the second


@dataclass(frozen=True)
class Report:
    """What became of a row. why: of one that failed."""

    where: str  # "pairs.jsonl:3"
    out: str
    state: str
    why: str = ""
    seconds: float = 0.0


class RowMaker:
    """Makes the rows of one list, one after the other.

    Args:
        pairs: the list, a path or an address; files that rows name are relative to it.
        out: the folder of the clips, a path or an address.
        defaults: settings for every row; the row's own win.
        index: of an output in a store; None for a folder.
        device: where it computes; None: as the rows say.
    """

    def __init__(
        self,
        pairs: str,
        out: str,
        defaults: Mapping[str, Any],
        *,
        index: DoneIndex | None = None,
        overwrite: bool = False,
        device: str | None = None,
    ) -> None:
        self.pairs, self.out = local_or_address(pairs), local_or_address(out)
        self.defaults, self.index, self.overwrite, self.device = dict(defaults), index, overwrite, device
        self.store = None if self.out[1] is None else Store(self.out[1])
        self.list_name = pairs.rstrip("/").rpartition("/")[2]

    def __call__(self, number: int | None, row: Row) -> Report:
        """Make one row, whatever comes of it; a store that fails is tried again."""
        begun, where = time.monotonic(), self.where(number, row)
        for attempt in range(1, TRIES + 1):
            try:
                out, state = self.make(number, row)
                return Report(where, out, state, seconds=round(time.monotonic() - begun, 3))
            except (StoreError, BusyError) as error:  # busy: by an actor whose driver was killed, and that ends soon
                why = str(error)
                if attempt < TRIES and "no such object" not in why:
                    time.sleep(PAUSE * 2 ** (attempt - 1))
                    continue
                break
            except Exception as error:  # one bad row must not cost the thousand after it
                why = str(error) or type(error).__name__
                break
        named = row.get("out") if isinstance(row, dict) else None
        return Report(where, str(named or ""), FAILED, " ".join(why.split()), round(time.monotonic() - begun, 3))

    def make(self, number: int | None, row: Row) -> tuple[str, str]:
        """(name of its clip, state) of a row."""
        if isinstance(row, str):
            raise ValueError(row)
        if self.store is None and self.pairs[0] is not None and not any(map(address_of, names_in(row))):
            pair = batch.parse_row(row, number or 0, self.pairs[0], self.out[0] or Path(), self.defaults)
            with reserved(place_of(pair.out)):
                outcome = batch.make_pair(pair, self.device, self.overwrite)
            return pair.out.name, SKIPPED if outcome == "skipped" else MADE
        name = self.name_of(row)
        if self.index is not None and name is not None and self.key(row, name) in self.index:
            return name, SKIPPED
        name, state = self.make_elsewhere(number, row)
        if self.index is not None and (key := self.key(row, name)) is not None:
            self.index.add(key)
        return name, state

    def name_of(self, row: dict[str, Any]) -> str | None:
        """The name of a row's clip in its store; None: it says none that could be one."""
        name = self.named(row).get("out")
        return Path(name).as_posix() if isinstance(name, str) and name.isprintable() else None

    def named(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with the name of its clip."""
        chosen = {key: value for key, value in row.items() if key not in OWN_KEYS}
        try:
            return {"out": batch.default_name(row, {**self.defaults, **chosen}), **row}
        except (KeyError, TypeError, ValueError):  # it names no keyframes; `parse_row` says so
            return dict(row)

    def where(self, number: int | None, row: Row) -> str:
        """A row by its number, or, where nobody counted, by what it names."""
        if number is not None:
            return f"{self.list_name}:{number}"
        return f"{self.list_name}: {' '.join(names_in(row)) if isinstance(row, dict) else shorten(row)}"

    def key(self, row: Mapping[str, Any], name: str) -> np.uint64 | None:
        """The key of a row, done by the clip that stands in the store now; None: there is none."""
        assert self.store is not None
        tag = self.store.tag(name)
        return None if tag is None else key_of(json.dumps([row, self.defaults, tag], sort_keys=True, default=str))

    def make_elsewhere(self, number: int | None, row: dict[str, Any]) -> tuple[str, str]:
        """`make` of a row with something in a store."""
        with tempfile.TemporaryDirectory(prefix="inbetween-") as folder:
            here = Path(folder)
            target = self.out[0] or here / "out"
            local = self.fetched(self.named(row), here / "in")
            pair = batch.parse_row(local, number or 0, here / "in" / self.list_name, target, self.defaults)
            if self.store is None:
                with reserved(place_of(pair.out)):
                    outcome = batch.make_pair(pair, self.device, self.overwrite)
                return pair.out.name, SKIPPED if outcome == "skipped" else MADE
            name = pair.out.relative_to(target).as_posix()
            if not pair.out.suffix:
                raise ValueError(f"{name}: a folder of frames is not published to a store; name a file, as {name}.mp4")
            return name, self.make_in_store(self.store, name, pair)

    def make_in_store(self, store: Store, name: str, pair: batch.Pair) -> str:
        """Fetch a clip that is there, make it here as in any folder, publish what is new; the state."""
        pair.out.parent.mkdir(parents=True)
        beside, before = path_beside(pair.out), b""
        if store.size(name) is not None:
            store.fetch(name, pair.out)
            if store.size(name + ENDING) is not None:
                before = store.fetch(name + ENDING, beside).read_bytes()
        try:
            outcome = batch.make_pair(pair, self.device, self.overwrite)
        except OutputError as error:
            raise OutputError(str(error).replace(str(pair.out), f"{store.address}/{name}")) from error
        if outcome != "skipped":
            store.publish(pair.out, name)
        if beside.read_bytes() != before:  # also where a run was killed between the two
            store.publish(beside, name + ENDING)
        return SKIPPED if outcome == "skipped" else MADE

    def fetched(self, row: dict[str, Any], folder: Path) -> dict[str, Any]:
        """A row whose pictures are local files."""
        folder.mkdir()
        local = dict(row)
        for key in PICTURES:
            if isinstance(row.get(key), str) and row[key] != INTERPOLATE:
                local[key] = self.fetch(row[key], folder)
        if isinstance(row.get("keyframes"), list):
            local["keyframes"] = [self.fetched_keyframe(entry, folder) for entry in row["keyframes"]]
        return local

    def fetched_keyframe(self, entry: Any, folder: Path) -> Any:
        """An entry of "keyframes" whose picture is a local file."""
        keyframe = read_entry(entry)
        image = self.fetch(str(keyframe.image), folder)
        return {"image": image, "position": keyframe.position, "strength": keyframe.strength}

    def fetch(self, name: str, folder: Path) -> str:
        """A picture as a local file: an address, or a name relative to the list; the file's full path."""
        path, address = local_or_address(name)
        if address is None and self.pairs[1] is None:
            assert path is not None and self.pairs[0] is not None
            return str((self.pairs[0].parent / path).resolve())
        full = address or f"{self.pairs[1]}".rpartition("/")[0] + "/" + name
        base, _, file = full.rpartition("/")
        # By its content: two of one name from two folders are two files.
        place = folder / f"{len(list(folder.iterdir()))}_{file}"
        return str(Store(base).fetch(file, place))


def run_rows(
    maker: RowMaker,
    rows: Sequence[tuple[int, Row]],
    *,
    shard: tuple[int, int] = (1, 1),
    notify: Callable[[Report], None] = lambda report: None,
) -> batch.Summary:
    """Make the rows of a shard in this process, or its share of them under a launcher; what they came to together."""
    state, summary = launched_processes(), batch.Summary()
    seen: dict[str, int] = {}
    unique = [(number, once(row, number, seen)) for number, row in rows]
    for number, row in share_of(unique[shard[0] - 1 :: shard[1]], state):
        report = maker(number, row)
        summary.generated += report.state == MADE
        summary.skipped += report.state == SKIPPED
        if report.state == FAILED:
            summary.failures.append(f"{report.where}: {report.why}")
            log.error("%s", summary.failures[-1])
        notify(report)
    if maker.index is not None:
        maker.index.flush()
    return batch.summed(gather([summary], state))


def once(row: Row, number: int, seen: dict[str, int]) -> Row:
    """The row, or, where an earlier one has its output, what is wrong with it."""
    out = row.get("out") if isinstance(row, dict) else None
    if isinstance(out, str) and seen.setdefault(out, number) != number:
        return f"the same output as line {seen[out]}: {out}"
    return row
