"""Colour profiles of pictures: what is seen stays, whatever the numbers mean."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from gen_inbetween.media.image import array_of, open_image
from gen_inbetween.media.video import read_frames

P3 = {  # the primaries of Display P3 at D50, as profiles hold them
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def display_p3() -> bytes:
    """sRGB's profile with other primaries."""
    profile = bytearray(srgb())
    for index in range(int.from_bytes(profile[128:132], "big")):
        name, place, _ = struct.unpack(">4sII", profile[132 + 12 * index : 144 + 12 * index])
        if name in P3:
            profile[place + 8 : place + 20] = struct.pack(">3i", *(round(65536 * value) for value in P3[name]))
    return bytes(profile)


@pytest.fixture
def seen() -> Image.Image:
    """Colours as they should look, in sRGB."""
    y, x = np.mgrid[:48, :64]
    return Image.fromarray(np.stack([40 + 2 * x, 60 + 3 * y, 200 - x - y], -1).astype(np.uint8))


@pytest.fixture
def wide(seen: Image.Image) -> Image.Image:
    """The same colours in Display P3's numbers."""
    profiles = ImageCms.createProfile("sRGB"), ImageCms.getOpenProfile(io.BytesIO(display_p3()))
    return ImageCms.profileToProfile(seen, *profiles, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB")


def apart(image: Image.Image | np.ndarray, other: Image.Image) -> int:
    return int(abs(np.asarray(image).astype(int)[..., :3] - np.asarray(other.convert("RGB"))).max())


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_is_seen_stays(tmp_path: Path, seen: Image.Image, wide: Image.Image, mode: str) -> None:
    assert apart(wide, seen) > 10
    wide.convert(mode).save(tmp_path / "a.png", icc_profile=display_p3())
    opened = open_image(tmp_path / "a.png")
    assert opened.mode == mode and apart(opened, seen) <= 2
    assert apart(open_image(opened), seen) <= 2, "once and not again"
    (tmp_path / "film").mkdir()
    wide.save(tmp_path / "film" / "f_0.png", icc_profile=display_p3())
    assert apart(read_frames(tmp_path / "film").frames[0], seen) <= 2


def test_sixteen_bits_stay_sixteen(tmp_path: Path, seen: Image.Image, wide: Image.Image) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = np.asarray(wide).astype(">u2") * 257
    head = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = (b"IHDR", head), (b"iCCP", b"p3\0\0" + zlib.compress(display_p3())), (b"IDAT", content), (b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    pixels = array_of(tmp_path / "deep.png")
    assert pixels.dtype == np.uint16
    assert apart(np.rint(pixels / 257), seen) <= 3


def test_srgb_stays_to_the_bit_and_nonsense_is_said(
    tmp_path: Path, seen: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    for profile in (srgb(), b"nonsense" * 30):
        seen.save(tmp_path / "a.png", icc_profile=profile)
        assert apart(open_image(tmp_path / "a.png"), seen) == 0
    assert "profile of a picture cannot be used" in caplog.text
