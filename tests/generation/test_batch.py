"""Batches: which lines are made, skipped or named as bad; names, shards, processes. The clips are stand-ins here."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from gen_inbetween.generation import batch, generate
from gen_inbetween.generation.batch import Pair, parse_shard, read_pairs, run_batch
from gen_inbetween.media.clip import Clip
from gen_inbetween.runtime import manifest as manifests


@pytest.fixture
def made(monkeypatch):
    """Replaces the model: records (frame0 name, settings) of each call; a frame named bad.png raises."""
    calls = []

    def stand_in(frame0, frame1, settings, progress):
        if frame0.name == "bad.png":
            raise ValueError("bad.png is not an image")
        calls.append((frame0.name, settings))
        return Clip([Image.new("RGB", (16, 16))] * 3, fps=7, manifest={"format": 1})

    monkeypatch.setattr(generate, "generate_clip", stand_in)
    return calls


def write_list(tmp_path, *lines):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def pair(name, **more):
    return {"frame0": f"{name}.png", "frame1": "end.png", **more}


def test_settings_of_a_line_win_over_the_defaults(tmp_path, made):
    path = write_list(tmp_path, pair("a"), "", pair("b", seed=5, out="deep/b.gif"))
    entries = read_pairs(path, tmp_path / "out", {"seed": 2, "method": "trf"})
    summary = run_batch(entries)
    assert (summary.generated, summary.skipped, summary.failures) == (2, 0, [])
    asked = [(name, settings.seed, settings.method) for name, settings in made]
    assert asked == [("a.png", 2, "trf"), ("b.png", 5, "trf")]
    assert entries[0].frame0 == tmp_path / "a.png"
    assert (tmp_path / "out" / "deep" / "b.gif").is_file()
    assert (tmp_path / "out" / "deep" / "b.gif.inbetween.json").is_file()


def test_a_second_run_makes_only_what_is_missing(tmp_path, made):
    entries = read_pairs(write_list(tmp_path, pair("a"), pair("b")), tmp_path / "out", {})
    states = []
    run_batch(entries)
    entries[0].out.unlink()
    summary = run_batch(entries, notify=lambda pair, state: states.append((pair.frame0.stem, state)))
    assert (summary.generated, summary.skipped) == (1, 1)
    assert states == [("a", "made"), ("b", "skipped")]


def test_bad_lines_are_named_and_the_rest_goes_on(tmp_path, made):
    path = write_list(
        tmp_path,
        "{",
        "[]",
        {"frame0": "a.png"},
        pair("a", sede=1),
        pair("bad"),
        pair("a", out="../x.mp4"),
        pair("b"),
        pair("b"),
    )
    summary = run_batch(read_pairs(path, tmp_path / "out", {}))
    assert summary.generated == 1
    wanted = {
        1: "not JSON", 2: "expected an object", 3: "frame1", 4: "did you mean 'seed'", 5: "bad.png is not an image",
        6: "inside the output folder", 8: "the same output as line 7",
    }  # fmt: skip
    assert sorted(failure.split(": ")[0] for failure in summary.failures) == [f"pairs.jsonl:{line}" for line in wanted]
    for line, words in wanted.items():
        assert any(failure.startswith(f"pairs.jsonl:{line}: ") and words in failure for failure in summary.failures)


def test_names_follow_what_was_asked_for_not_the_line(tmp_path):
    def names(*lines, **defaults):
        return [entry.out.name for entry in read_pairs(write_list(tmp_path, *lines), tmp_path, defaults)]

    assert names(pair("a"), pair("b")) == names(pair("b"), pair("a"))[::-1]
    assert names(pair("a"), seed=1) == names(pair("a", seed=1))
    assert names(pair("a")) != names(pair("a", seed=1))
    assert names(pair("a"))[0].startswith("a_end_")


def test_a_list_without_pairs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no pairs in it"):
        read_pairs(write_list(tmp_path, ""), tmp_path, {})
    with pytest.raises(ValueError, match="cannot read"):
        read_pairs(tmp_path / "absent.jsonl", tmp_path, {})


def test_shards_share_out_every_line_once(tmp_path, made):
    entries = read_pairs(write_list(tmp_path, *(pair(f"f{i}") for i in range(5))), tmp_path / "out", {})
    for index in (1, 2, 3):
        run_batch(entries, shard=(index, 3))
    assert sorted(name for name, _ in made) == [f"f{i}.png" for i in range(5)]
    assert [name for name, _ in made][:2] == ["f0.png", "f3.png"]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1.5/2"])
def test_shards_that_are_none(text):
    with pytest.raises(ValueError, match="expected i/n"):
        parse_shard(text)


@dataclass
class TwoProcesses:
    """What accelerate's PartialState tells in one of two processes."""

    process_index: int
    num_processes: int = 2
    device: torch.device = torch.device("cpu")


def test_processes_of_a_launcher_share_a_shard_and_its_summary(tmp_path, made, monkeypatch):
    entries = read_pairs(write_list(tmp_path, *(pair(f"f{i}") for i in range(4)), pair("bad")), tmp_path / "out", {})
    parts: list = []
    monkeypatch.setattr("accelerate.utils.gather_object", lambda mine: parts.extend(mine) or parts)
    for index in (0, 1):
        monkeypatch.setattr(batch, "launched_processes", lambda index=index: TwoProcesses(index))
        summary = run_batch(entries)
    assert (summary.generated, len(summary.failures)) == (4, 1)
    assert [name for name, _ in made] == ["f0.png", "f2.png", "f1.png", "f3.png"]
    assert {settings.device for _, settings in made} == {"cpu"}


PROCESS = """
import sys
from PIL import Image
from gen_inbetween.generation import batch, generate
from gen_inbetween.media.clip import Clip

def generate_clip(frame0, frame1, settings, progress):
    return Clip([Image.new("RGB", (16, 16))] * 3, fps=7)

generate.generate_clip = generate_clip
entries = batch.read_pairs(sys.argv[1], sys.argv[2], {})
summary = batch.run_batch(entries, notify=lambda pair, state: print(pair.frame0.stem))
print(summary.generated, len(summary.failures))
"""


def test_two_real_processes_share_the_work(tmp_path):
    path = write_list(tmp_path, pair("a"), pair("b"), pair("c"), "no json")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launched = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(path), str(tmp_path / "out")],
            env={**os.environ, **launched, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=240)[0].split() for process in processes]
    assert said == [["a", "c", "3", "1"], ["b", "3", "1"]]


def test_ctrl_c_ends_the_batch(tmp_path, monkeypatch):
    def interrupted(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(generate, "generate_clip", interrupted)
    entries = [Pair("pairs.jsonl:1", Path("a"), Path("b"), tmp_path / "a.mp4", batch.Settings())]
    with pytest.raises(KeyboardInterrupt):
        run_batch(entries)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_of_windows_and_tables_are_read_to_the_first_line(tmp_path, made, encoding):
    (tmp_path / "list.jsonl").write_bytes("".join(json.dumps(pair(name)) + "\r\n" for name in "ab").encode(encoding))
    table = "frame0,frame1,out,seed\r\na.png,end.png,1.gif,4\r\nb.png,end.png,,\r\n"
    (tmp_path / "list.csv").write_bytes(table.encode(encoding))
    for name in ("list.jsonl", "list.csv"):
        assert run_batch(read_pairs(tmp_path / name, tmp_path / name[5:], {})).failures == []
    assert [name for name, _ in made] == ["a.png", "b.png"] * 2 and made[2][1].seed == 4
    assert (tmp_path / "csv" / "1.gif").is_file()


def test_an_output_no_clip_is_saved_as_is_found_with_the_list(tmp_path):
    names = ["y.xyz", "y.mp5", "https://a.b/c.mp4", "n" * 252 + ".mp4", "good.mkv"]
    entries = read_pairs(write_list(tmp_path, *(pair("a", out=name) for name in names)), tmp_path / "out", {})
    assert all("cannot write" in entry for entry in entries[:4]) and isinstance(entries[4], Pair)


def test_keyframes_of_a_list_that_are_addresses_are_named(tmp_path):
    (entry,) = read_pairs(write_list(tmp_path, {"frame0": "https://a.b/c.png", "frame1": "d.png"}), tmp_path, {})
    assert "https://a.b/c.png is an address, not a file: download it first" in entry


def test_a_list_of_another_kind_is_one_line(tmp_path):
    path = write_list(tmp_path, "a.png,b.png", "c.png,d.png")
    with pytest.raises(ValueError, match="CSV whose first line is frame0,frame1"):
        read_pairs(path, tmp_path, {})


def test_no_line_stops_the_others(tmp_path, made):
    deep = '{"frame0": "a.png", "frame1": "b.png", "seed": ' + "[" * 100_000 + "}"
    lines = [
        pair("a", out="x" * 300 + ".mp4"), deep, pair("a", out=7), pair("a", out=""), pair("a\0"),
        pair("a", out="a\0.mp4"), pair("a", out="\ud800.mp4"), pair("a", seed=[1]), pair("a", out=None),
        pair("good", out="good.gif"),
    ]  # fmt: skip
    summary = run_batch(read_pairs(write_list(tmp_path, *lines), tmp_path / "out", {}))
    assert summary.generated == 1 and [name for name, _ in made] == ["good.png"]
    assert "\"out\" must be the name of a file, got 'a\\x00.mp4'" in summary.failures[5]
    assert [failure.split(": ")[0] for failure in summary.failures] == [f"pairs.jsonl:{line}" for line in range(1, 10)]


def test_outputs_are_checked_before_any_sampling(tmp_path, made):
    (tmp_path / "out" / "deep").mkdir(parents=True)
    for name in ("end.png", "theirs.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "out" / name)
    lines = [
        {"frame0": "a.png", "frame1": "out/end.png", "out": "ok.gif"}, pair("a", out="end.png"),
        pair("a", out="theirs.png"), pair("a", out="x.xyz"), pair("a", out="ok.gif"), pair("a", out="deep/../ok.gif"),
        pair("a", out="none/../other.gif"),
    ]  # fmt: skip
    path = write_list(tmp_path, *lines)
    words = ["end.png is an input", "did not make", "cannot write", "the same output as line 1", "the same output"]
    words += ["leads back out of"]
    entries = read_pairs(path, tmp_path / "out", {})
    assert not isinstance(entries[0], str)
    assert all(word in entry for word, entry in zip(words, entries[1:], strict=True)), entries
    assert not isinstance(read_pairs(path, tmp_path / "out", {}, overwrite=True)[2], str)


def test_a_line_that_has_changed_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(
        generate,
        "generate_clip",
        lambda frame0, frame1, settings, progress: Clip(
            [Image.open(frame0)] * 3,
            fps=7,
            manifest=manifests.record(settings={"seed": settings.seed}, frames={"frame0": {"sha256": "0"}}),
        ),
    )
    for name, shade in (("a", 10), ("end", 20)):
        Image.new("RGB", (16, 16), (shade,) * 3).save(tmp_path / f"{name}.png")

    def states(**more):
        said = []
        entries = read_pairs(write_list(tmp_path, pair("a", out="c.gif", **more)), tmp_path / "out", {"fps": 7})
        run_batch(entries, notify=lambda pair, state: said.append(state))
        return said

    assert states() + states() + states(device="cpu") == ["made", "skipped", "skipped"]
    assert states(seed=3) + states(seed=3) + states() == ["made again", "skipped", "made again"]
    (tmp_path / "out" / "c.gif.inbetween.json").unlink()
    assert states() == ["skipped"] and (tmp_path / "out" / "c.gif.inbetween.json").is_file(), "it is inside of the clip"
    Image.new("RGB", (16, 16), (30,) * 3).save(tmp_path / "a.png")
    assert states() + states() == ["made again", "skipped"]
    content = bytearray((tmp_path / "out" / "c.gif").read_bytes())
    content[-5] ^= 1
    (tmp_path / "out" / "c.gif").write_bytes(content)
    assert states() + states() == ["made again", "skipped"], "its hash stands beside it"
    (tmp_path / "out" / "c.gif").write_bytes(b"GIF89a: a user's own")
    assert states() == []
    assert (tmp_path / "out" / "c.gif").read_bytes() == b"GIF89a: a user's own"


@pytest.mark.parametrize("setting", ["model", "motion"])
def test_another_folder_of_weights_with_the_same_name_is_another_request(tmp_path, made, setting):
    for place, weights in (("one", b"1"), ("two", b"2"), ("moved", b"1")):
        (tmp_path / place / "svd" / "unet").mkdir(parents=True)
        (tmp_path / place / "svd" / "unet" / "weights.safetensors").write_bytes(weights)

    def states(place):
        said = []
        line = pair("a", out="c.gif", **{setting: str(tmp_path / place / "svd")})
        entries = read_pairs(write_list(tmp_path, line), tmp_path / "out", {})
        run_batch(entries, notify=lambda pair, state: said.append(state))
        return said

    assert states("one") + states("moved") == ["made", "skipped"]  # the same weights elsewhere
    assert states("two") + states("one") == ["made again", "made again"]


@pytest.mark.parametrize(
    "table",
    [
        "keyframes\n[a.png, b.png:9:0.5, end.png]\n",
        'keyframes,seed\n"[a.png, b.png:9:0.5, end.png]",\n',
        "keyframes;out\n[a.png, {image: b.png, position: 9, strength: 0.5}, end.png];x.gif\n",
        'frame0,frame1,keyframes\n,,"[a.png, b.png:9:0.5, end.png]"\n',
    ],
)
def test_a_table_may_say_keyframes_alone(tmp_path, table):
    (tmp_path / "list.csv").write_text(table)
    (entry,) = read_pairs(tmp_path / "list.csv", tmp_path / "out", {})
    assert isinstance(entry, Pair)
    assert entry.places == [[None, 1.0], [9, 0.5], [None, 1.0]]
    assert [path.name for path in entry.files.values()] == ["a.png", "b.png", "end.png"]


def test_keyframes_of_a_table_that_are_no_list_are_named(tmp_path):
    (tmp_path / "list.csv").write_text("keyframes\na.png b.png\n[a.png]\n[a.png, 3]\n")
    entries = read_pairs(tmp_path / "list.csv", tmp_path / "out", {})
    assert "under keyframes, [a.png, b.png], got 'a.png b.png'" in entries[0]
    assert "at least two" in entries[1] and "expected a keyframe as text" in entries[2]


@pytest.mark.parametrize("names", [["f", "f/x.gif"], ["f/deep/x.gif", "f"], ["f", "f/f_%04d.png", "f/g"]])
def test_an_output_inside_of_another_is_refused(names, tmp_path, made):
    path = write_list(tmp_path, *(pair("a", out=name) for name in names), pair("b", out="far/f"))
    entries = read_pairs(path, tmp_path / "out", {})
    bad = [entry for entry in entries if isinstance(entry, str)]
    assert len(bad) == len(names) - 1 and all(entry.startswith("pairs.jsonl:") for entry in bad)
    assert isinstance(entries[0], Pair) and isinstance(entries[-1], Pair)
    assert "pairs.jsonl:2: " in bad[0] and ("one inside of the other" in bad[0] or "same output" in bad[0])
