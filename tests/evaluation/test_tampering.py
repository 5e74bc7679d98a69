"""What was changed behind the evaluation's back is named, set aside and made again; no figure of it stays."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from evaluation_cases import STAND_INS, Brightness, MeanError, other_tool, read, rows_of, run_of
from PIL import Image

from gen_inbetween.evaluation import context
from gen_inbetween.evaluation.report.report import write_report
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.settings import EvaluationError

PAIRS = 8
SET = "fd_colours[inner,8]"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(a finished evaluation, its rows, its sets); each test changes something and leaves it whole again."""
    folder = tmp_path_factory.mktemp("evaluation")
    for index in range(PAIRS):
        other_tool(folder / "made", f"s{index}")
    methods = {"fade": {"baseline": "crossfade"}, "other": {"folder": str(folder / "made")}}
    run = run_of(folder, count=PAIRS, methods=methods, metrics=["mean_error", "brightness", SET])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "open_metric", lambda name: STAND_INS[name]())
        assert evaluate(run).failures == ()
    return run, rows_of(run), read(run, "sets.json")


def fade(run, name="*"):
    """The folder of a pair's clip of our own."""
    return next(run.output.glob(f"clips/fade-*/{name}/seed0"))


def kept(run, what, method="fade"):
    return next(run.output.glob(f"{what}/{method}-*/s3/seed0-*"))


def black(path):
    """Another picture in place of one, of the same size in bytes and with its times."""
    before, state = path.read_bytes(), path.stat()
    Image.new("RGB", (32, 32)).save(path)
    path.write_bytes(path.read_bytes().ljust(len(before), b"\0"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def exchange(a, b):
    spare = a.with_name("spare")
    a.rename(spare), b.rename(a), spare.rename(b)


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def raise_value(figures):
    figures["value"] += 1


OURS = {
    "a frame replaced, its size and time kept": lambda run: black(fade(run, "s3") / "00002.png"),
    "a frame removed": lambda run: (fade(run, "s3") / "00002.png").unlink(),
    "a frame added": lambda run: shutil.copy(fade(run, "s3") / "00002.png", fade(run, "s3") / "00099.png"),
    "two frames exchanged": lambda run: exchange(fade(run, "s3") / "00001.png", fade(run, "s3") / "00002.png"),
    "a record cut off": lambda run: (fade(run, "s3") / "clip.json").write_text('{"request": {'),
    "a record of another shape": lambda run: (fade(run, "s3") / "clip.json").write_text("[1]"),
    "a record of nothing": lambda run: (fade(run, "s3") / "clip.json").write_bytes(b"\xff\x00"),
    "a record's hashes edited": lambda run: edit(
        fade(run, "s3") / "clip.json", lambda record: record["frames"].update({"00001.png": "0" * 64})
    ),
    "a score edited": lambda run: edit(
        kept(run, "scores"), lambda known: known["scores"]["mean_error"].update(value=0.0)
    ),
    "another tool's score edited": lambda run: edit(
        kept(run, "scores", "other"), lambda known: known["scores"]["brightness"].update(value=0.0)
    ),
    "a score made null": lambda run: edit(
        kept(run, "scores"), lambda known: known["scores"]["mean_error"].update(value=None)
    ),
    "scores of an earlier version": lambda run: kept(run, "scores").write_text('{"mean_error": 0.0}'),
    "scores cut off": lambda run: kept(run, "scores").write_text('{"fr'),
    "scores of another shape": lambda run: kept(run, "scores").write_text("7"),
    "a distance of sets edited": lambda run: edit(next(run.output.glob("sets/*/fade-*.json")), raise_value),
    "a distance of sets cut off": lambda run: next(run.output.glob("sets/*/fade-*.json")).write_text("{"),
}
SILENT = {  # nothing is left to be set aside
    "clips exchanged": lambda run: exchange(fade(run, "s3"), fade(run, "s4")),
    "scores exchanged": lambda run: exchange(kept(run, "scores"), next(run.output.glob("scores/fade-*/s4/seed0-*"))),
    "scores removed": lambda run: kept(run, "scores").unlink(),
    "features edited": lambda run: np.save(kept(run, "features/*"), np.zeros((4, 3), np.float32)),
    "features cut off": lambda run: kept(run, "features/*").write_bytes(b"\x93NUMPY"),
    "features removed": lambda run: kept(run, "features/*").unlink(),
    "results edited": lambda run: (run.output / "results.jsonl").write_text("{}\n"),
    "sets edited": lambda run: (run.output / "sets.json").write_text("{}"),
}


@pytest.mark.parametrize("tampering", [*OURS, *SILENT])
def test_what_was_tampered_with_is_made_again(tampering, finished, stand_ins, caplog):
    run, rows, sets = finished
    (OURS | SILENT)[tampering](run)
    assert evaluate(run).failures == ()
    assert (rows_of(run), read(run, "sets.json")) == (rows, sets)
    broken = list(run.output.rglob("*.broken"))
    assert len(broken) == (tampering in OURS) == len([line for line in caplog.messages if "set aside as" in line])
    for path in broken:
        assert path.name in caplog.text
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_another_tools_frame_with_its_time_kept_is_scored_anew(finished, stand_ins):
    run, rows, sets = finished
    frame = next(run.output.parent.glob("made/s3/00002.png"))
    before = frame.read_bytes()
    black(frame)
    evaluate(run)
    changed = {(new["method"], new["pair"]) for new, old in zip(rows_of(run), rows, strict=True) if new != old}
    assert changed == {("other", "s3")} and read(run, "sets.json") != sets
    frame.write_bytes(before)
    evaluate(run)
    assert (rows_of(run), read(run, "sets.json")) == (rows, sets)


def test_a_metric_of_another_version_is_computed_again_and_no_other(finished, stand_ins, monkeypatch):
    run, rows, sets = finished
    scored = []
    for metric in (Brightness, MeanError):
        monkeypatch.setattr(metric, "score", lambda self, sample: scored.append(self.name) or 1.0)
    evaluate(run)
    assert scored == []
    monkeypatch.setattr(MeanError, "version", 2)
    evaluate(run)
    assert scored == ["mean_error"] * 2 * PAIRS
    assert {row["scores"]["mean_error"] for row in rows_of(run) if row["method"] != "truth"} == {1.0}
    assert read(run, "run.json")["metrics"]["mean_error"]["version"] == 2
    monkeypatch.undo()
    monkeypatch.setattr(context, "open_metric", lambda name: STAND_INS[name]())
    evaluate(run)
    assert (rows_of(run), read(run, "sets.json")) == (rows, sets)


def test_a_clip_of_an_earlier_version_is_kept_and_its_frames_hashed(finished, stand_ins, caplog):
    run, rows, _ = finished
    record = fade(run, "s3") / "clip.json"
    before = json.loads(record.read_text())
    edit(record, lambda content: content.pop("frames"))
    evaluate(run)
    assert json.loads(record.read_text()) == before and rows_of(run) == rows and not caplog.messages


def test_a_report_is_not_written_of_edited_results(finished, stand_ins):
    run, _, _ = finished
    lines = (run.output / "results.jsonl").read_text()
    (run.output / "results.jsonl").write_text(lines.replace('"mean_error": ', '"mean_error": 1'))
    with pytest.raises(EvaluationError, match="changed since the evaluation wrote it"):
        write_report(run.output, run)
    (run.output / "results.jsonl").write_text(lines)
