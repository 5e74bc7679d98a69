"""Labels come back word for word, and the pictures and packets they stand beside stay as they were."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.traces.labels import read_label, takes_label, write_label
from tests.media_cases import moving

TEXT = '{"quote": "<&>\\"", "\u00fcber": "' + "long " * 300 + '"}'
STILL = {"png": {}, "jpeg": {}, "gif": {}, "webp": {"lossless": True}, "webp, lossy": {}, "webp, transparent": {}}
MOVING = {"webp": {}, "gif": {}, "png": {}}
VIDEOS = {"mp4": "mpeg4", "mov": "mpeg4", "matroska": "mpeg4", "webm": "libvpx", "avi": "mpeg4"}


def shown(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGBA")) for frame in frames_of(image)]


def frames_of(image: Image.Image):
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        yield image.copy()


@pytest.mark.parametrize("text", [TEXT, ""])
@pytest.mark.parametrize("kind", STILL)
def test_a_still_picture(tmp_path: Path, kind: str, text: str) -> None:
    path, image = tmp_path / "picture", moving(1, 33, 21)[0]
    if "transparent" in kind:
        image.putalpha(100)
    image.save(path, kind.split(",")[0].upper(), **STILL[kind])
    before = shown(path)
    assert takes_label(path) and read_label(path) is None
    assert write_label(path, text) and read_label(path) == text
    assert all(np.array_equal(*pair) for pair in zip(before, shown(path), strict=True))


def test_a_name_that_is_no_utf8_comes_back(tmp_path: Path) -> None:
    path, said = tmp_path / "picture", {"path": os.fsdecode(b"film\xff.mp4")}
    moving(1, 33, 21)[0].save(path, "PNG")
    assert write_label(path, json.dumps(said, ensure_ascii=False)) and json.loads(read_label(path) or "") == said


@pytest.mark.parametrize("kind", MOVING)
def test_an_animation(tmp_path: Path, kind: str) -> None:
    path, (first, *others) = tmp_path / "animation", moving(4)
    first.save(path, kind.upper(), save_all=True, append_images=others, duration=40, loop=0)
    before = shown(path)
    assert write_label(path, TEXT) and read_label(path) == TEXT
    after = shown(path)
    assert len(after) == 4 and all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    with Image.open(path) as image:
        assert image.info["loop"] == 0


@pytest.mark.parametrize("kind", VIDEOS)
def test_a_video(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "video"
    with av.open(f"file:{path}", "w", format=kind) as output:
        stream = output.add_stream(VIDEOS[kind], rate=10, width=80, height=64, pix_fmt="yuv420p")
        for number, image in enumerate(moving(5)):
            frame = av.VideoFrame.from_image(image)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())

    def packets() -> list[tuple[bytes, int | None, int | None]]:
        with av.open(f"file:{path}") as source:
            return [(bytes(packet), packet.pts, packet.dts) for packet in source.demux(video=0)]

    before = packets()
    assert takes_label(path) and read_label(path) is None
    assert write_label(path, TEXT) and read_label(path) == TEXT
    assert packets() == before and len(before) >= 5


@pytest.mark.parametrize("text", [TEXT, "", "a --> b & <c>"])
def test_a_page_until_it_is_edited(tmp_path: Path, text: str) -> None:
    path = tmp_path / "page.html"
    path.write_text("<!DOCTYPE html>\n<title>a page</title>\n")
    assert takes_label(path) and read_label(path) is None
    assert write_label(path, text) and read_label(path) == text
    assert path.read_text().count("-->") == 1
    path.write_text(path.read_text().replace("a page", "my page"))
    assert read_label(path) is None


def test_no_label_is_read_where_there_is_none_or_a_part_of_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert read_label(path) is None
    picture = tmp_path / "p.png"
    moving(1)[0].save(picture)
    write_label(picture, TEXT)
    for content in (b"", b"text", picture.read_bytes()[:60], picture.read_bytes()[:33], b"RIFF\xff\xff\xff\xffWEBP"):
        path.write_bytes(content)
        assert read_label(path) is None
    for head in (b"GIF89a", b"\xff\xd8\xff", b"RIFF....WEBP", b"RIFF....AVI ", b"....ftypisom", b"\x1a\x45\xdf\xa3"):
        for seed in range(40):
            path.write_bytes(head + np.random.default_rng(seed).bytes(seed * 7))
            assert read_label(path) is None
    path.write_text("no picture")
    assert not takes_label(path) and not write_label(path, TEXT) and path.read_text() == "no picture"


@pytest.mark.parametrize("kind", ["png", "gif", "jpeg", "webp"])
def test_what_another_program_writes_anew_is_no_longer_ours(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"p.{kind}"
    moving(1)[0].save(path)
    write_label(path, TEXT[:60])
    with Image.open(path) as image:
        image.load()
        turned = image.rotate(90)
        turned.info = image.info  # a GIF's comment goes along
        turned.save(path)
    assert read_label(path) is None


def test_a_film_whose_comment_goes_along_is_no_longer_ours(tmp_path: Path) -> None:
    ours, copy = tmp_path / "a.avi", tmp_path / "b.avi"
    write_video(moving(5), ours, 10)
    write_label(ours, TEXT)
    with av.open(f"file:{ours}") as source, av.open(f"file:{copy}", "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        output.metadata.update(source.metadata)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    assert b"made by gen_inbetween" in copy.read_bytes()
    assert read_label(ours) is not None and read_label(copy) is None


def test_a_label_from_before_lengths_were_counted(tmp_path: Path) -> None:
    path = tmp_path / "p.gif"
    moving(1)[0].save(path, comment=b'made by gen_inbetween {"a": 1}')
    assert read_label(path) == '{"a": 1}'
