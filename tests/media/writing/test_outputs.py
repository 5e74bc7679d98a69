"""What each kind of output holds: every row of the table is written and read back."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from media_cases import arrays, moving
from PIL import Image

from gen_inbetween.media.clip import Clip
from gen_inbetween.media.frames.colour import FilmColour
from gen_inbetween.media.image import has_alpha
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import open_source
from gen_inbetween.media.video_writer import check_video_output, write_video
from gen_inbetween.media.writing.codecs import CODECS, hardware_encoders
from gen_inbetween.media.writing.options import VideoOptions, parse_colour
from gen_inbetween.media.writing.outputs import OUTPUTS

NAMES = [f"a{suffix}" if suffix else "folder" for suffix in OUTPUTS]
ERRORS = {".gif": 4.0, ".webp": 2.0, ".apng": 0.0, "": 0.0}  # grey levels; the others halve the chroma


def read(path: Path) -> tuple[np.ndarray, float | None]:
    """The frames as film frames, and the rate."""
    source = open_source(path)
    return np.stack(list(source.read(0, None, 1))), source.fps


def seen_through() -> list[np.ndarray]:
    """Film frames with alpha: the square is opaque, the ground half or not at all."""
    frames = []
    for image in moving(4):
        alpha = np.where(np.asarray(image)[..., 0] > 220, 255, 128).astype(np.uint8)
        alpha[:, 60:] = 0
        frames.append(np.dstack([np.asarray(image), alpha]))
    return frames


@pytest.mark.parametrize("name", [*NAMES, "p/f_%03d.png", "t/f_%d.tif", "e/f_%04d.exr"])
def test_every_output_comes_back_as_it_was_written(tmp_path: Path, name: str) -> None:
    path = write_video(moving(5), tmp_path / name, 10)
    frames, fps = read(path)
    assert len(frames) == 5 and fps in (None, 10)
    whole = frames / (257 if frames.dtype == np.uint16 else 1)
    error = abs(whole[..., :3] - arrays(moving(5))).mean()
    assert error <= ERRORS.get(Path(name).suffix if "%" not in name else "", 1.5) + 0.2 * name.endswith("exr")


@pytest.mark.parametrize("name", ["a.mov", "a.webm", "a.webp", "a.apng", "folder", "t/f_%d.tif", "e/f_%d.exr"])
def test_transparency_is_kept_where_it_can_be(tmp_path: Path, name: str) -> None:
    frames, _ = read(write_video(seen_through(), tmp_path / name, 10))
    scale = 257 if frames.dtype == np.uint16 else 1
    assert frames.shape[-1] == 4
    assert abs(frames[..., 3] / scale - np.stack(seen_through())[..., 3]).mean() < 2
    seen = np.stack(seen_through())[..., 3] > 0
    assert abs(frames[..., :3] / scale - np.stack(seen_through())[..., :3])[seen].mean() < 3


@pytest.mark.parametrize("name", ["t/f_%d.tif", "e/f_%d.exr", "p/f_%d.png"])
def test_the_header_of_a_deep_picture_tells_of_its_alpha(tmp_path: Path, name: str) -> None:
    options = VideoOptions(pix_fmt="rgb48" if "png" in name else None)
    write_video(moving(1), tmp_path / "opaque" / name, 10, options=options)
    write_video(seen_through()[:1], tmp_path / "clear" / name, 10, options=options)
    assert not has_alpha(tmp_path / "opaque" / name.replace("%d", "0"))
    assert has_alpha(tmp_path / "clear" / name.replace("%d", "0"))


def test_a_gif_is_clear_or_not(tmp_path: Path) -> None:
    frames, _ = read(write_video(seen_through(), tmp_path / "a.gif", 10))
    assert np.array_equal(frames[..., 3] == 0, np.stack(seen_through())[..., 3] < 128)
    assert set(np.unique(frames[..., 3])) == {0, 255}


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_what_holds_no_transparency_shows_the_background(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(seen_through(), tmp_path / f"white_{name}", 10)
    frames, _ = read(path)
    assert "holds no transparency" in caplog.text and abs(frames[:, :, 64:].astype(int) - 255).mean() < 3
    caplog.clear()
    options = VideoOptions(background="#204060")
    frames, _ = read(write_video(seen_through(), tmp_path / f"blue_{name}", 10, options=options))
    assert caplog.text == "" and np.allclose(frames[:, 8:-8, 68:].reshape(-1, 3).mean(axis=0), (32, 64, 96), atol=3)


def test_a_background_asked_for_flattens_what_could_be_kept(tmp_path: Path) -> None:
    frames, _ = read(write_video(seen_through(), tmp_path / "a.apng", 10, options=VideoOptions(background="0,0,0")))
    assert frames.shape[-1] == 3 and frames[:, :, 60:].max() == 0


@pytest.mark.parametrize(
    ("name", "codec", "encoded", "pixels"),
    [
        ("a.mp4", "hevc", "hevc", "yuv420p"),
        ("a.mov", "h265", "hevc", "yuv420p"),
        ("a.mkv", "av1", "av1", "yuv420p"),
        ("a.webm", "av1", "av1", "yuv420p"),
        ("a.mp4", "vp9", "vp9", "yuv420p"),
        ("a.mov", "prores", "prores", "yuv444p12le"),
        ("a.mkv", "ffv1", "ffv1", "bgr0"),
        ("a.avi", "ffv1", "ffv1", "bgr0"),
        ("a.avi", None, "h264", "yuv420p"),
    ],
)
def test_codecs(tmp_path: Path, name: str, codec: str | None, encoded: str, pixels: str) -> None:
    path = write_video(moving(4), tmp_path / name, 24000 / 1001, options=VideoOptions(codec))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert context.codec.canonical_name == encoded and context.pix_fmt == pixels
        if name[2:] in ("mp4", "mov") and encoded == "hevc":
            assert context.codec_tag == "hvc1", "as QuickTime wants it"
    frames, fps = read(path)
    assert fps == pytest.approx(24000 / 1001, rel=1e-4)
    scale = 257 if frames.dtype == np.uint16 else 1
    assert abs(frames / scale - arrays(moving(4))).mean() <= (0 if encoded == "ffv1" else 1.6)


@pytest.mark.parametrize("size", [(47, 31), (16, 16), (33, 65)])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "prores", "ffv1"])
def test_small_and_odd_pictures_go_into_every_codec(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    suffix = ".mov" if codec == "prores" else ".mkv"
    path = write_video(
        [image.resize(size) for image in moving(3)], tmp_path / f"a{suffix}", 10, options=VideoOptions(codec)
    )
    frames, _ = read(path)
    assert len(frames) == 3 and all(0 <= got - side <= 1 for got, side in zip(frames.shape[2:0:-1], size, strict=True))


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.mov", "a.avi", "a.apng"])
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    first = write_video(moving(4), tmp_path / name, 7).read_bytes()
    assert write_video(moving(4), tmp_path / f"again_{name}", 7).read_bytes() == first


def test_pixels_and_quality_are_as_asked_for(tmp_path: Path) -> None:
    deep = [np.asarray(image).astype(np.uint16) * 257 + 100 for image in moving(3)]
    path = write_video(deep, tmp_path / "a.mp4", 10, options=VideoOptions(pix_fmt="yuv444p10"))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv444p10le"
    frames, _ = read(write_video(deep, tmp_path / "folder", 10, options=VideoOptions(pix_fmt="rgb48")))
    assert np.array_equal(frames, np.stack(deep)), "16 bits in, 16 bits out"
    sizes = [
        write_video(moving(4), tmp_path / f"{crf}.webm", 10, options=VideoOptions(crf=crf)).stat().st_size
        for crf in (5, 60)
    ]
    assert sizes[0] > 1.5 * sizes[1]


@pytest.mark.parametrize(
    ("name", "codec", "encoded", "pixels", "transfer"),
    [
        ("a.mp4", None, "hevc", "yuv420p10le", 16),
        ("a.webm", None, "av1", "yuv420p10le", 16),
        ("a.mov", "prores", "prores", "yuv422p10le", 16),
        ("a.mp4", "h264", "h264", "yuv420p", 1),
        ("a.avi", None, "h264", "yuv420p", 1),
    ],
)
def test_hdr_is_kept_in_ten_bits_or_tone_mapped(
    tmp_path: Path, name: str, codec: str | None, encoded: str, pixels: str, transfer: int
) -> None:
    colour = FilmColour("bt2020nc", "bt2020", "smpte2084", "tv", 10)
    grey = [np.full((48, 64, 3), 38000, np.uint16)] * 2  # of PQ: 203 cd/m2, white on an SDR screen
    path = write_video(grey, tmp_path / name, 10, options=VideoOptions(codec), colour=colour)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        frame = next(container.decode(video=0))
        assert (context.codec.canonical_name, context.pix_fmt) == (encoded, pixels)
        assert frame.color_trc == transfer


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.mp4", {"codec": "prores"}, "holds h264 or hevc or av1 or vp9, not prores: write .mov or .mkv"),
        ("a.mp4", {"codec": "mpeg7"}, "codec is one of h264, hevc"),
        ("a.mp4", {"crf": 52}, "crf of h264 is 0 .* to 51"),
        ("a.mp4", {"crf": -1}, "crf is 0"),
        ("a.mp4", {"pix_fmt": "yuv999"}, "libx264 has no pixel format 'yuv999'; it has yuv420p"),
        ("a.mp4", {"background": "nocolour"}, "is no colour"),
        ("a.mkv", {"codec": "ffv1", "crf": 3}, "lossless"),
        ("a.y4m", {"codec": "h264"}, "raw pictures"),
        ("a.gif", {"crf": 3}, "crf: for videos only"),
        ("folder", {"codec": "h264"}, "codec: for videos only"),
        ("folder", {"pix_fmt": "yuv420p"}, "rgb48"),
        ("t/%d.tif", {"pix_fmt": "rgb24"}, "folders of PNG"),
    ],
)
def test_options_an_output_has_no_use_for_are_refused(tmp_path: Path, name: str, options: dict, message: str) -> None:
    never = (pytest.fail("work was done") for _ in range(1))
    with pytest.raises(VideoError, match=message):
        write_video(never, tmp_path / name, 10, options=VideoOptions(**options))
    assert not list(tmp_path.iterdir())


def test_hardware_encoders_are_tried_before_the_work(tmp_path: Path) -> None:
    for name in hardware_encoders():
        codec = name.split("_")[0]
        suffix = next(suffix for suffix, output in OUTPUTS.items() if codec in output.codecs)
        try:
            path = write_video([image.resize((256, 256)) for image in moving(2)], tmp_path / f"{name}{suffix}", 10,
                               options=VideoOptions(name))  # fmt: skip
        except VideoError as error:
            assert f"{name} is in this PyAV but does not open" in str(error) and f"codec {codec}" in str(error)
        else:
            assert len(read(path)[0]) == 2
    with pytest.raises(VideoError, match="h264_videotoolbox|no encoder"):
        if "h264_videotoolbox" in hardware_encoders():
            raise VideoError("h264_videotoolbox is here")
        write_video(moving(2), tmp_path / "a.mp4", 10, options=VideoOptions("h264_videotoolbox"))


def test_the_table_names_codecs_there_are() -> None:
    assert set(itertools.chain.from_iterable(output.codecs for output in OUTPUTS.values())) == set(CODECS)
    assert all(output.alpha in (None, *output.codecs, "gif", "webp", "apng", "png") for output in OUTPUTS.values())


def test_a_pattern_needs_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError, match="frames/f_%04d.png"):
        check_video_output("f_%04d.png")
    (tmp_path / "album").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "album" / "holiday.png")
    with pytest.raises(VideoError, match="holds other files"):
        check_video_output(tmp_path / "album" / "f_%04d.png")
    names = sorted(file.name for file in (write_video(moving(3), "new/f_%02d.png", 5).parent).glob("*.png"))
    assert names == ["f_00.png", "f_01.png", "f_02.png"]


@pytest.mark.parametrize("name", [*(name for name in NAMES if "y4m" not in name), "p/f_%02d.png", "e/f_%d.exr"])
def test_a_clip_of_ours_is_opened_with_its_manifest_and_saved_over(tmp_path: Path, name: str) -> None:
    for count in (3, 2):
        Clip(moving(count), 10, manifest={"format": 2, "settings": {"fps": 10}}).save(tmp_path / name)
        opened = Clip.open(tmp_path / name)
        assert (len(opened), opened.fps, opened.manifest["format"]) == (count, 10, 2)


@pytest.mark.parametrize("text", ["white", "#fff", "255,255,255", " 255, 255 ,255 "])
def test_colours(text: str) -> None:
    assert parse_colour(text) == (255, 255, 255)
