"""Images from files, arrays and tensors, and back to tensors."""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError, features

from gen_inbetween.media.frames.pixels import most_pixels, said_of_bomb, too_many_pixels
from gen_inbetween.media.frames.profiles import PROFILE, deep_in_srgb, in_srgb
from gen_inbetween.media.frames.screen import WHITE, Colour, Pixels, eight_bit, is_opaque, over, sixteen_bit, with_alpha
from gen_inbetween.media.frames.side_data import side_data_of
from gen_inbetween.media.reading.deep_pictures import deep_has_alpha, pixels_said, read_deep
from gen_inbetween.runtime.files import address_of, refused_address
from gen_inbetween.runtime.trust.limits import shorten

Frame = Union[Image.Image, str, "os.PathLike[str]", np.ndarray, torch.Tensor]

_DEEP_SUFFIXES = (".png", ".tif", ".tiff", ".exr")
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_FLOAT_OVERSHOOT = 1e-3  # resampling and half precision leave [0, 1] by about this much; more is another range
_PNG_TEXT_BYTES = 256 * 2**20
_png_text_lock = threading.RLock()


class FrameError(ValueError):
    """A frame cannot be used; the message says what was expected, what came and what to do."""


def load_image(frame: Frame, *, background: Colour = WHITE) -> Image.Image:
    """Open one frame as an upright 8-bit RGB image in sRGB, whatever its colour profile.

    Args:
        frame: one of
            a path to an image file (of an animated file, its first frame);
            a PIL image of any mode (16-bit modes are scaled, not clipped);
            a numpy array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, uint16, or float in [0, 1];
            a torch tensor (H, W), (1, H, W), (3, H, W) or (4, H, W): uint8, or float in [0, 1].
        background: RGB colour in 0..255 that shows through where the frame is transparent.

    Returns:
        A new RGB image; EXIF orientation is applied, the given object is left as it is.

    Raises:
        FrameError: the file is missing, a folder, no image or cut off; the frame is empty, has another number of
            channels or another dtype, or holds NaN or values outside its range.
    """
    return _flatten(open_image(frame), background)


def open_image(frame: Frame) -> Image.Image:
    """Open one frame as an upright 8-bit image: RGBA where it has transparency, otherwise RGB.

    What it takes and raises: see `load_image`, which puts the same over a background.
    """
    name = str(frame) if isinstance(frame, (str, os.PathLike)) else f"the {type(frame).__name__} given"
    if isinstance(frame, (str, os.PathLike)):
        image = _load(Path(frame))
    elif isinstance(frame, Image.Image):
        image = frame
    elif isinstance(frame, np.ndarray):
        image = _from_array(frame)
    elif isinstance(frame, torch.Tensor):
        image = _from_array(_channels_last(frame))
    else:
        raise FrameError(f"a frame is a path, PIL image, numpy array or torch tensor; got {type(frame).__name__}")
    if 0 in image.size:
        raise FrameError(f"{name} is empty: {image.width}x{image.height} pixels; give a frame with at least one pixel")
    try:
        image = in_srgb(_eight_bit(ImageOps.exif_transpose(image)))
        if not image.has_transparency_data:
            return image.convert("RGB")
        straight = image.convert("LA") if image.mode == "La" else image  # Pillow undoes premultiplication only to LA
        return straight.convert("RGBA")
    except FrameError:
        raise
    except (OSError, ValueError, SyntaxError) as error:  # PIL images load lazily, so a bad file may show only here
        raise FrameError(f"{name} (mode {image.mode}) cannot be read as an RGB image: {error}") from error


def open_images(frames: Iterable[Frame]) -> list[Image.Image]:
    """Frames as `open_image` opens them, all of one mode: RGBA where any is transparent somewhere, otherwise RGB."""
    images = [open_image(frame) for frame in frames]
    clear = any(image.mode == "RGBA" and not is_opaque(np.asarray(image)) for image in images)
    return [image.convert("RGBA" if clear else "RGB") for image in images]


def array_of(frame: Frame, *, alpha: bool | None = None, deep: bool | None = None) -> Pixels:
    """One picture as a film frame.

    Args:
        frame: as `load_image` takes it.
        alpha: whether the array has it; None as the picture has. Without it the picture lies over white.
        deep: whether it is uint16 in 0..65535 rather than uint8; None as the picture is.

    Returns:
        An array (H, W, 3), or (H, W, 4) with straight alpha.

    Raises:
        FrameError: as `load_image`.
    """
    if isinstance(frame, np.ndarray) and frame.dtype == np.uint16 and frame.ndim == 3 and frame.shape[2] in (3, 4):
        pixels: Pixels = frame
    else:
        deep_pixels = None if deep is False or not isinstance(frame, (str, os.PathLike)) else _deep(Path(frame))
        pixels = np.array(open_image(frame)) if deep_pixels is None else deep_pixels
    if alpha is not None:
        pixels = with_alpha(pixels) if alpha else over(pixels, WHITE)
    if deep is not None:
        pixels = sixteen_bit(pixels) if deep else eight_bit(pixels)
    return pixels


def has_alpha(path: Path) -> bool:
    """Whether an image file may be transparent, as its header says; False where it cannot be read."""
    try:
        with Image.open(path) as image:
            return bool(image.has_transparency_data)
    except (OSError, SyntaxError, ValueError):
        return path.is_file() and deep_has_alpha(path)


def _deep(path: Path) -> Pixels | None:
    """A picture of 16 bits or more a colour; None where it is none, or nothing that can be read."""
    if not path.is_file() or path.suffix.lower() not in _DEEP_SUFFIXES:
        return None
    if problem := too_many_pixels(path, pixels_said(path)):
        raise FrameError(problem)
    try:
        return read_deep(path, most_pixels(), _deep_in_srgb)
    except (OSError, ValueError, IndexError) as error:
        if path.suffix.lower() == ".exr":
            raise FrameError(f"{path} cannot be decoded, it may be cut off or damaged: {error}") from error
        return None  # the reader of 8 bits says what is wrong


def _deep_in_srgb(frame: Any, pixels: NDArray[np.uint16]) -> Pixels:
    """The values of a decoded frame in sRGB, by the profile that came with it."""
    profile = side_data_of(frame).get("ICC_PROFILE")
    return pixels if profile is None else deep_in_srgb(pixels, profile)


def _load(path: Path) -> Image.Image:
    if address := address_of(path):
        raise FrameError(refused_address(address))
    if not os.path.exists(path):  # False, too, for too long a name
        raise FrameError(f"no such file: {shorten(path, 500)}")
    if path.is_dir():
        raise FrameError(f"{path} is a folder; expected one image file")
    if path.stat().st_size == 0:
        raise FrameError(f"{path} is empty (0 bytes); expected an image file")
    if (needed := _missing_plugin(path)) is not None:
        raise FrameError(f"{path} is {needed}; or convert it to PNG")
    try:
        try:
            return _decoded(path)
        except ValueError:  # what Pillow raises for a PNG whose text inflates beyond its limit
            with large_png_text():
                return _decoded(path)
    except UnidentifiedImageError as error:
        if (pixels := _deep(path)) is not None:
            return Image.fromarray(eight_bit(pixels))
        raise FrameError(f"{path} is not an image Pillow can read; expected PNG, JPEG, WebP, TIFF, ...") from error
    except Image.DecompressionBombError as error:
        raise FrameError(said_of_bomb(path, error)) from error
    except Exception as error:  # on damaged data Pillow's decoders raise almost anything, RuntimeError among it
        raise FrameError(f"{path} cannot be decoded, it may be cut off or damaged: {error}") from error


def _decoded(path: Path) -> Image.Image:
    most_pixels()
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image)


def _missing_plugin(path: Path) -> str | None:
    """What Pillow needs to read a HEIC or AVIF picture, where it is not installed; registers it where it is."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp":
        return None
    if head[8:] in (b"avif", b"avis"):
        if features.check("avif") or importlib.util.find_spec("pillow_avif"):
            if not features.check("avif"):
                importlib.import_module("pillow_avif")
            return None
        return "AVIF, which this Pillow does not read: pip install pillow-avif-plugin"
    if head[8:] not in _HEIC_BRANDS:
        return None
    plugin = next((name for name in ("pillow_heif", "pi_heif") if importlib.util.find_spec(name)), None)
    if plugin is None:
        return 'HEIC, which Pillow reads with a plug-in: pip install pillow-heif (or "gen_inbetween[film]")'
    importlib.import_module(plugin).register_heif_opener()
    return None


@contextmanager
def large_png_text() -> Iterator[None]:
    """Let Pillow read PNG text of many MB (editing histories); its limits are module globals: lock, then restore."""
    with _png_text_lock:
        before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
        PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = _PNG_TEXT_BYTES
        try:
            yield
        finally:
            PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = before


def _channels_last(tensor: torch.Tensor) -> np.ndarray:
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4)):
        raise FrameError(
            f"a torch frame is (channels, height, width) with 1, 3 or 4 channels; got {tuple(tensor.shape)}"
            " (take one frame of a batch with frame[0]; bring channels first with frame.permute(2, 0, 1))"
        )
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
        kind = "meta" if tensor.is_meta else "quantized" if tensor.is_quantized else str(tensor.layout)
        raise FrameError(f"a torch frame holds its pixels one by one, got a {kind} tensor: make it a dense one")
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # numpy has no bfloat16
    return (tensor.permute(1, 2, 0) if tensor.ndim == 3 else tensor).numpy()


def _from_array(array: np.ndarray) -> Image.Image:
    """An array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as a PIL image of mode L, RGB or RGBA."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise FrameError(
            f"a numpy frame is (height, width) or (height, width, channels) with 1, 3 or 4 channels; got {array.shape}"
            " (take one frame of a batch with frame[0]; bring channels last with frame.transpose(1, 2, 0))"
        )
    if array.size == 0:
        raise FrameError(f"the frame is empty: shape {array.shape}; give a frame with at least one pixel")
    if array.dtype == np.uint16:
        array = np.round(array / 257.0).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        array = _bytes_of_unit_floats(array)
    elif array.dtype != np.uint8:
        raise FrameError(f"a frame is uint8, uint16 or float in [0, 1]; got dtype {array.dtype}: convert it first")
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if array.shape[2:] == (1,) else array))


def _bytes_of_unit_floats(array: np.ndarray) -> np.ndarray:
    if not np.isfinite(array).all():
        raise FrameError("the frame holds NaN or infinite values; expected floats in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if low < -_FLOAT_OVERSHOOT or high > 1 + _FLOAT_OVERSHOOT:
        remedy = "for [-1, 1] pass (frame + 1) / 2" if high <= 1 + _FLOAT_OVERSHOOT else "for 0..255 pass it as uint8"
        raise FrameError(f"a float frame lies in [0, 1]; got values from {low:.4g} to {high:.4g} ({remedy})")
    return np.round(np.clip(array.astype(np.float64), 0, 1) * 255).astype(np.uint8)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale the deep modes: convert() would clip them to white."""
    if image.mode == "F":
        return _from_array(np.asarray(image))
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            got = f"{values.min()} to {values.max()}"
            raise FrameError(f"an integer greyscale image holds 16-bit values in 0..65535; got {got}: rescale it")
        grey = _from_array(values.astype(np.uint16))
        grey.info[PROFILE] = image.info.get(PROFILE)
        return grey
    return image


def _flatten(image: Image.Image, background: Colour) -> Image.Image:
    if image.mode == "RGB":
        return image
    canvas = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(canvas, image).convert("RGB")


def to_signal(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (..., H, W, 3) -> float32 (..., 3, H, W) in [-1, 1], as the models take frames.

    >>> to_signal(torch.tensor([[[0, 255, 51]]], dtype=torch.uint8)).flatten().tolist()
    [-1.0, 1.0, -0.6000000238418579]
    """
    return pixels.movedim(-1, -3).float() / 127.5 - 1


def to_pixels(signal: torch.Tensor) -> NDArray[np.uint8]:
    """(..., 3, H, W), clamped to [-1, 1] -> uint8 (..., H, W, 3).

    >>> to_pixels(torch.tensor([[[-1.0]], [[0.0]], [[9.0]]])).tolist()
    [[[0, 128, 255]]]
    """
    pixels: NDArray[np.uint8] = ((signal.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).movedim(-3, -1).numpy()
    return pixels
