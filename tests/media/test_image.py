"""Images from whatever holds one, upright and in eight bits."""

from __future__ import annotations

import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from gen_inbetween.media.image import FrameError, load_image


@pytest.fixture
def picture() -> Image.Image:
    """24 x 16: smooth colours, with the top left corner red, so that every turn and flip shows."""
    y, x = np.mgrid[:16, :24]
    pixels = np.stack([x * 8, y * 12, 200 - x * 4], axis=-1).astype(np.uint8)
    pixels[:4, :4] = (255, 0, 0)
    return Image.fromarray(pixels)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def test_arrays_tensors_and_files_give_the_same_picture(picture: Image.Image, tmp_path: Path) -> None:
    array = np.asarray(picture)
    chw = torch.from_numpy(array.copy()).permute(2, 0, 1)
    picture.save(tmp_path / "p.png")
    forms = [
        picture, tmp_path / "p.png", str(tmp_path / "p.png"), array, array.astype(np.uint16) * 257, array / 255.0,
        (array / 255.0).astype(np.float32), chw, chw / 255, (chw / 255).double(), (chw / 255).requires_grad_(),
        np.dstack([array, np.full(array.shape[:2], 255, np.uint8)]),
    ]  # fmt: skip
    for form in forms:
        opened = load_image(form)
        assert opened.mode == "RGB"
        assert np.array_equal(np.asarray(opened), array)
    assert abs(pixels(load_image((chw / 255).bfloat16())) - array).max() <= 1


def test_the_given_image_is_left_alone(picture: Image.Image) -> None:
    opened = load_image(picture)
    opened.putpixel((0, 0), (1, 2, 3))
    assert picture.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_greyscale_arrays(shape: tuple[int, ...]) -> None:
    grey = np.arange(35, dtype=np.uint8).reshape(shape)
    assert np.array_equal(np.asarray(load_image(grey)), np.repeat(grey.reshape(5, 7, 1), 3, axis=2))
    tensor = torch.from_numpy(grey.reshape(5, 7))
    assert load_image(tensor).size == load_image(tensor[None]).size == (7, 5)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation(picture: Image.Image, tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = {  # what a camera writes so that the viewer's turn gives the picture
        1: picture,
        2: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: picture.transpose(Image.Transpose.ROTATE_180),
        4: picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: picture.transpose(Image.Transpose.TRANSPOSE),
        6: picture.transpose(Image.Transpose.ROTATE_90),
        7: picture.transpose(Image.Transpose.TRANSVERSE),
        8: picture.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"webp": {"lossless": True}, "jpg": {"quality": 98, "subsampling": 0}}.get(suffix, {})
    stored.save(tmp_path / f"p.{suffix}", exif=exif, **options)
    for opened in (load_image(tmp_path / f"p.{suffix}"), load_image(Image.open(tmp_path / f"p.{suffix}"))):
        assert opened.size == picture.size
        assert abs(pixels(opened) - pixels(picture)).mean() < (3 if suffix == "jpg" else 0.01)


def test_alpha_goes_over_the_background() -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (200, 100, 0, 255)
    rgba[0, 1] = (200, 100, 0, 128)
    image = Image.fromarray(rgba)
    opened = load_image(image, background=(0, 0, 250))
    assert opened.getpixel((0, 0)) == (200, 100, 0)
    assert np.allclose(opened.getpixel((1, 0)), (100, 50, 125), atol=2)
    assert opened.getpixel((1, 1)) == (0, 0, 250)
    assert load_image(image).getpixel((1, 1)) == (255, 255, 255)
    for mode in ("LA", "La", "RGBa"):
        converted = image.convert("LA").convert("La") if mode == "La" else image.convert(mode)
        assert load_image(converted, background=(9, 9, 9)).getpixel((1, 1)) == (9, 9, 9)
    tensor = torch.from_numpy(rgba).permute(2, 0, 1) / 255
    assert np.array_equal(np.asarray(load_image(tensor, background=(0, 0, 250))), np.asarray(opened))


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=1)
    assert [load_image(tmp_path / "plain.png").getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (200, 100, 50)]
    assert load_image(tmp_path / "clear.png", background=(1, 2, 3)).getpixel((1, 0)) == (1, 2, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    expected = np.arange(256).reshape(16, 16)
    deep = Image.open(tmp_path / f"deep.{suffix}")
    for frame in (tmp_path / f"deep.{suffix}", deep, Image.fromarray(values.astype(np.int32)), values):
        assert np.array_equal(pixels(load_image(frame))[..., 0], expected)
    with pytest.raises(FrameError, match="0..65535"):
        load_image(Image.fromarray(values.astype(np.int32) * 2))


def test_float_bilevel_and_cmyk_images(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    assert np.array_equal(pixels(load_image(Image.fromarray(ramp)))[..., 1], np.arange(256).reshape(16, 16))
    assert load_image(Image.new("1", (3, 3), 1)).getpixel((0, 0)) == (255, 255, 255)
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=95)
    assert np.allclose(load_image(tmp_path / "cmyk.jpg").getpixel((4, 4)), (255, 0, 0), atol=6)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    for name in ("a.gif", "a.webp", "a.png"):
        options = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        assert load_image(tmp_path / name).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("late", [False, True], ids=["before the pixels", "after the pixels"])
def test_png_with_megabytes_of_text(picture: Image.Image, tmp_path: Path, late: bool) -> None:
    picture.save(tmp_path / "p.png")
    png = (tmp_path / "p.png").read_bytes()
    content = b"zTXt" + b"history\0\0" + zlib.compress(b"edited " * 900_000)
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    at = png.index(b"IEND") - 4 if late else png.index(b"IDAT") - 4
    (tmp_path / "long.png").write_bytes(png[:at] + chunk + png[at:])
    limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"):
        Image.open(tmp_path / "long.png").load()  # or the next lines would prove nothing

    opened: list[Image.Image] = []
    threads = [threading.Thread(target=lambda: opened.append(load_image(tmp_path / "long.png"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert all(np.array_equal(np.asarray(frame), np.asarray(picture)) for frame in opened)
    assert (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY) == limits


def test_bad_files(picture: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture in here")
    (tmp_path / "empty.png").touch()
    with pytest.raises(FrameError, match="no such file: .*missing.png"):
        load_image(tmp_path / "missing.png")
    with pytest.raises(FrameError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(FrameError, match="text.png is not an image"):
        load_image(tmp_path / "text.png")
    with pytest.raises(FrameError, match="empty.png is empty"):
        load_image(tmp_path / "empty.png")
    for suffix in ("png", "jpg", "webp", "tif"):
        path = tmp_path / f"cut.{suffix}"
        picture.resize((200, 200)).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(FrameError, match=f"cut.{suffix} cannot be decoded"):
            load_image(path)
        if suffix != "webp":  # a PIL image that was opened, not loaded, fails where it is read
            with pytest.raises(FrameError, match="cannot be read"):
                load_image(Image.open(path))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Image.new("RGB", (0, 4)), "empty"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (torch.zeros(3, 4, 0), "empty"),
        (np.zeros((4, 4, 2), np.uint8), r"channels; got \(4, 4, 2\)"),
        (np.zeros((3, 4, 4), np.uint8).repeat(2, 2), r"transpose\(1, 2, 0\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"frame\[0\]"),
        (torch.zeros(6, 5, 3), r"permute\(2, 0, 1\)"),
        (torch.zeros(1, 3, 4, 4), r"frame\[0\]"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        (torch.full((3, 4, 4), float("nan")), "NaN"),
        (np.full((4, 4, 3), np.inf), "infinite"),
        (np.linspace(-1, 1, 48).reshape(4, 4, 3), r"from -1 to 1 \(for \[-1, 1\]"),
        (np.linspace(0, 255, 48).reshape(4, 4, 3), "from 0 to 255 .*uint8"),
        (np.zeros((4, 4, 3), np.int64), "dtype int64"),
        (7, "got int"),
        (None, "got NoneType"),
    ],
)
def test_bad_frames(frame: object, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        load_image(frame)  # type: ignore[arg-type]


def test_a_hair_outside_the_unit_range_is_rounding() -> None:
    assert load_image(np.full((2, 2, 3), 1.0005)).getpixel((0, 0)) == (255, 255, 255)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
PLUG_IN = """
from PIL import Image, ImageFile
class Heic(ImageFile.ImageFile):
    format, format_description = "HEIF", "a stand-in"
    def _open(self):
        self._size, self._mode, self.tile = (4, 2), "RGB", []
    def load(self):
        self.im = Image.new("RGB", (4, 2), (9, 90, 200)).im
def register_heif_opener():
    Image.register_open("HEIF", Heic, lambda head: head[4:12] == b"ftypheic")
"""


def test_heic_is_read_by_a_plug_in_and_named_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(HEIC)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FrameError, match=r"a.heic is HEIC, .* pip install pillow-heif .*convert it"):
        load_image(tmp_path / "a.heic")
    monkeypatch.undo()
    (tmp_path / "pillow_heif.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(tmp_path)
    assert load_image(tmp_path / "a.heic").getpixel((1, 1)) == (9, 90, 200)


def test_too_many_pixels_are_told_and_can_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (3000, 2000)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2_000_000)
    words = "huge.png has 6 million pixels; at most 4 million are read.*GEN_INBETWEEN_MAX_PIXELS=6000000"
    with pytest.raises(FrameError, match=words):
        load_image(tmp_path / "huge.png")
    monkeypatch.setenv("GEN_INBETWEEN_MAX_PIXELS", "6000000")
    assert load_image(tmp_path / "huge.png").size == (3000, 2000)
