"""No command costs a user a file: inputs, files of others, and manifests of other clips stay."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.media.clip import Clip
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.media.writing.outputs import OUTPUTS
from gen_inbetween.runtime.outputs import lasting, path_beside, reserved
from tests.media_cases import moving

DRAWN = ["--method", "interpolate", "--interpolator", "blend", "--frames", "3"]
NEAREST = ["--interpolator", "nearest"]
CLICK = ["--click", "15,20", "--curve", "hold-end", "--interpolator", "dis"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two keyframes, a film and a folder of frames, none of them made by this package as far as it can tell."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(tmp_path / name)
    film = write_video(moving(4), tmp_path / "film.mp4", 24).read_bytes()
    (tmp_path / "film.mp4").write_bytes(film[: film.rindex(b"uuid") - 4])  # without the label
    (tmp_path / "frames").mkdir()
    for number, image in enumerate(moving(3)):
        image.save(tmp_path / "frames" / f"frame_{number:05d}.png")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["run", "a.png", "b.png", "-o", "a.png", *DRAWN], "a.png is an input"),
        (["run", "a.png", "b.png", "-o", "./../{folder}/b.png", *DRAWN, "--overwrite"], "is an input"),
        (["run", "a.png", "b.png", "-o", "film.mp4", *DRAWN], "film.mp4 is a file that gen_inbetween did not make"),
        (["run", "a.png", "b.png", "-o", "frames", *DRAWN], "frames holds files that gen_inbetween did not make"),
        (["run", "frames/frame_00000.png", "b.png", "-o", "frames", *DRAWN, "--overwrite"], "frames holds the input"),
        (["retime", "film.mp4", "--fps", "48", "-o", "film.mp4", *NEAREST, "--overwrite"], "film.mp4 is an input"),
        (["retime", "frames", "--fps", "48", "-o", "frames", *NEAREST, "--overwrite"], "frames is an input"),
        (["retime", "frames", "--fps", "48", "-o", "frames/f_%03d.png", *NEAREST, "--overwrite"], "frames"),
        (["slowmo", "film.mp4", "-o", "frames", *NEAREST], "frames holds files that gen_inbetween did not make"),
        (["edit", "film.mp4", *CLICK, "-o", "film.mp4"], "film.mp4 is an input"),
        (["edit", "a.png", "b.png", *CLICK, "-o", "c.gif", "--show-masks", "b.png"], "b.png is an input"),
        (["edit", "a.png", "b.png", *CLICK, "-o", "c.gif", "--show-masks", "frames/frame_00000.png"], "did not make"),
        (["edit", "a.png", "b.png", *CLICK, "-o", "c.png", "--show-masks", "c.png"], "c.png is an input"),
        (["convert", "a.png", "a.png"], "a.png is"),
        (["run", "a.png", "b.png", "-o", "gone/../film.mp4", *DRAWN], "leads back out of"),
        (["retime", "film.mp4", "--fps", "48", "-o", "gone/../film.mp4", *NEAREST], "leads back out of"),
    ],
)
def test_what_would_cost_a_file_is_refused_in_one_line(inbetween, folder, line, words):
    before = contents(folder)
    status, _, err = inbetween(*(word.replace("{folder}", folder.name) for word in line))
    assert status == 2 and words in err and "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
    assert contents(folder) == before


STYLE = ["stylize", "film.mp4", "--key", "1=a.png", "--steps", "1"]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (["retake", "own", "1", "2", "-o", "c.mp4", "--mask", "m.png", "--show-masks", "own/frame_00001.png"], None),
        (["edit", "own", *CLICK, "-o", "c.gif", "--show-masks", "own/frame_00001.png"], None),
        (["bridge", "own", "film.mp4", "-o", "own/frame_00000.png"], None),
        (["loop", "own/frame_%05d.png", "-o", "own/frame_00000.png"], None),
        (["loop", "film.mp4", "-o", "a.png", "--set", "still=a.png", "--overwrite"], "a.png"),
        (["run", "a.png", "--loop", "-o", "b.png", "--still", "b.png", "--overwrite"], "b.png"),
        (["replay", "c.gif", "-o", "a.png", "--overwrite"], "a.png"),
        (["stylize", "own", "--export", "1=own/frame_00002.png"], None),
        ([*STYLE, "-o", "c.mp4", "--mask", "1=b.png", "--preview", "b.png", "--overwrite"], "b.png"),
        ([*STYLE, "-o", "c.mp4", "--preview", "c.mp4"], "c.mp4"),
        ([*STYLE, "-o", "c.mp4", "--preview", "c.png", "--style", "c.png"], "c.png"),
        ([*STYLE, "-o", "c.mp4", "--style", "style.yaml", "--config", "style.yaml", "--overwrite"], "style.yaml"),
        ([*STYLE, "-o", "c.mp4", "--style", "c.mp4"], "c.mp4"),
        ([*STYLE, "-o", "c.mp4", "--watch", "--preview", "c.mp4"], "c.mp4"),
    ],
)
def test_frames_of_an_input_folder_masks_and_settings_are_inputs_too(inbetween, folder, line, kept):
    """Frames that gen_inbetween wrote may be replaced, but not where they are what is read."""
    (folder / "style.yaml").write_text("patch_size: 32\n")
    Image.new("L", (80, 64), 255).save(folder / "m.png")
    write_video(moving(3), folder / "own", 24)
    assert inbetween("run", "a.png", "b.png", "-o", "c.gif", *DRAWN)[0] == 0
    before = contents(folder)
    status, _, err = inbetween(*line)
    assert status == 2 and "is an input" in err and (kept or "own/frame_0000") in err, err
    assert contents(folder) == before


def test_a_keyframe_that_moved_with_its_clip_is_an_input_of_a_replay(inbetween, folder, monkeypatch):
    from gen_inbetween.generation import replay

    assert inbetween("run", "a.png", "b.png", "-o", "c.gif", *DRAWN)[0] == 0
    (folder / "moved").mkdir()
    for name in ("a.png", "b.png", "c.gif"):
        (folder / name).rename(folder / "moved" / name)
    before = (folder / "moved" / "a.png").read_bytes()
    monkeypatch.setattr(replay, "generate_clip", lambda *_, **__: pytest.fail("the work was begun"))
    status, _, err = inbetween("replay", "moved/c.gif", "-o", "moved/a.png", "--overwrite")
    assert status == 2 and "is an input" in err and (folder / "moved" / "a.png").read_bytes() == before


def test_json_of_others_stays_and_the_manifest_stands_beside_it(inbetween, folder):
    for name in ("c.json", "smooth.json"):
        (folder / name).write_text('{"label": 3}')
    assert inbetween("run", "a.png", "b.png", "-o", "c.mp4", *DRAWN)[0] == 0
    assert inbetween("retime", "film.mp4", "--fps", "48", "-o", "smooth.mp4", *NEAREST)[0] == 0
    for name in ("c.json", "smooth.json"):
        assert (folder / name).read_text() == '{"label": 3}'
        assert path_beside(folder / name.replace("json", "mp4")).is_file()
    assert inbetween("run", "a.png", "b.png", "-o", "c.mp4", *DRAWN)[0] == 0, "ours may be made again"
    assert inbetween("run", "a.png", "b.png", "-o", "film.mp4", *DRAWN, "--overwrite")[0] == 0


@pytest.mark.parametrize("name", [*(f"c{suffix}" for suffix in OUTPUTS if suffix != ".y4m"), "c.png"])
def test_a_clip_alone_is_replayed(inbetween, folder, name):
    status, _, err = inbetween("run", "a.png", "b.png", "-o", name, *DRAWN)
    assert status == 0, err
    beside = path_beside(folder / name)
    manifest = json.loads(beside.read_text())
    beside.unlink()
    moved = (folder / name).rename(folder / f"moved{Path(name).suffix}")
    assert inbetween("replay", moved)[:2] == (0, "the frames are equal\n")
    if name != "c.png":
        kept = Clip.open(moved).manifest
        assert kept == lasting(manifest)
    assert inbetween("replay", moved, "-o", moved)[0] == 2


def test_what_earlier_versions_wrote_is_replayed_and_may_be_replaced(inbetween, folder):
    assert inbetween("run", "a.png", "b.png", "-o", "c.gif", *DRAWN)[0] == 0
    made = path_beside(folder / "c.gif").rename(folder / "c.json")
    with Image.open(folder / "c.gif") as image:
        image.save(folder / "c.gif", save_all=True, comment=b"")  # without the label
    assert inbetween("replay", "c.gif")[0] == 0 and Clip.open(folder / "c.gif").manifest is not None
    assert inbetween("run", "a.png", "b.png", "-o", "c.gif", *DRAWN)[0] == 0
    assert made.is_file() and path_beside(folder / "c.gif").is_file()
    assert inbetween("replay", "absent.gif")[0] == 2 and inbetween("replay", "film.mp4")[0] == 2


def test_a_second_run_to_one_output_is_refused_in_one_line(inbetween, folder):
    held, done = threading.Event(), threading.Event()

    def first() -> None:
        with reserved("c.mp4"):
            held.set()
            done.wait(60)

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(60)
    for line in (["run", "a.png", "b.png", *DRAWN], ["retime", "film.mp4", "--fps", "48", *NEAREST]):
        status, _, err = inbetween(*line, "-o", "c.mp4")
        assert (status, err.splitlines()[-1]) == (
            2, "error: c.mp4 is being written by another run: wait for its end, or name another output"
        )  # fmt: skip
    done.set()
    thread.join()
    assert inbetween("run", "a.png", "b.png", "-o", "c.mp4", *DRAWN)[0] == 0


def test_clean_lists_and_removes(inbetween, folder):
    left = folder / "frames" / ".inbetween-0123456789ab-0.mp4"
    lock = folder / "frames" / ".inbetween-0123456789ab.lock"
    left.write_bytes(b"x")
    lock.touch()
    before = contents(folder)
    status, out, _ = inbetween("clean", ".", "--dry-run")
    assert status == 0 and out.splitlines() == [
        "frames/.inbetween-0123456789ab-0.mp4: left by a run that was killed",
        "frames/.inbetween-0123456789ab.lock: left by a run that was killed",
        "2 to remove, 0.0 MB",
    ]  # fmt: skip
    assert contents(folder) == before
    assert inbetween("clean", folder)[0] == 0 and len(contents(folder)) == len(before) - 2
    assert inbetween("clean", folder)[1] == "nothing is left of killed runs\n"
    assert inbetween("clean", "absent")[0] == 2


def test_clean_goes_on_past_what_cannot_be_removed(inbetween, tmp_path, monkeypatch):
    from gen_inbetween.runtime.traces import leftovers

    names = [f".film_{number}.mp4.0123456789abcdef.parts" for number in range(3)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "000000.mp4").write_bytes(bytes(500_000))
    remove = leftovers.remove
    monkeypatch.setattr(leftovers, "remove", lambda path: None if path.name == names[1] else remove(path))
    status, out, err = inbetween("clean", str(tmp_path))
    assert status == 2 and sorted(each.name for each in tmp_path.glob(".film*")) == [names[1]]
    assert out.splitlines()[-1] == "2 removed, 1.0 MB" and names[1] not in out
    assert err.splitlines() == [
        f"{tmp_path / names[1]}: stays: it could not be removed",
        "error: 1 could not be removed: see above",
    ]
