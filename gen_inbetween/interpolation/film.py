"""Interpolation of film frames: arrays of any depth, with or without transparency.

colours are multiplied by alpha before and divided by it after, so that what is hidden does not bleed out;
alpha is interpolated as a picture of its own, in the way colour is
what does not change from one frame to the next is not drawn: titles, drawn animation, recordings of a screen
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.pairs import pass_through
from gen_inbetween.media.frames.screen import Pixels

MARGIN = 32  # pixels around what changes that are drawn with it; sides are multiples of it, as networks pad frames
MOST = 0.6  # of a frame: a part that changes is drawn by itself up to this

Walk = Callable[[Tensor, Tensor], Iterator[Tensor]]  # frames (1, 3, H, W) between two, in [0, 1]


def draw_between(first: Pixels, last: Pixels, walk: Walk, device: torch.device) -> Iterator[Pixels]:
    """The frames that `walk` draws between two of one shape (H, W, 3 or 4) and dtype, as such arrays.

    Transparent frames are walked twice, once for colour and once for alpha; where alpha stays, it is taken as it is.
    """
    a, b = film_tensor(first, device), film_tensor(last, device)
    if first.shape[2] == 3:
        yield from (film_pixels(frame, first.dtype) for frame in walk(a, b))
        return
    a, b = premultiplied(a), premultiplied(b)
    colours = walk(a[:, :3], b[:, :3])
    if torch.equal(a[:, 3], b[:, 3]):
        yield from (film_pixels(straight(colour, a[:, 3:]), first.dtype) for colour in colours)
        return
    alphas = walk(a[:, 3:].expand(-1, 3, -1, -1).contiguous(), b[:, 3:].expand(-1, 3, -1, -1).contiguous())
    for colour, alpha in zip(colours, alphas, strict=True):
        yield film_pixels(straight(colour, alpha.mean(1, keepdim=True)), first.dtype)


def draw_changed(first: Pixels, last: Pixels, walk: Walk, device: torch.device) -> Iterator[Pixels]:
    """As `draw_between`; what is the same in both frames, bit for bit, is not drawn but shown as it is."""
    part = changed_part(first, last)
    if part is None:
        yield from draw_between(first, last, walk, device)
        return
    for drawn in draw_between(first[part], last[part], walk, device):
        frame = first.copy()
        frame[part] = drawn
        yield frame


def changed_part(first: Pixels, last: Pixels) -> tuple[slice, slice] | None:
    """Rows and columns outside of which two frames are equal; None: that is most of the frame, or they are equal."""
    differs = (first != last).any(2)
    part: list[slice] = []
    for axis, side in enumerate(differs.shape):
        places = np.flatnonzero(differs.any(1 - axis))
        if not len(places):
            return None
        length = -(-(int(places[-1] - places[0]) + 1 + 2 * MARGIN) // MARGIN) * MARGIN
        start = min(max(0, int(places[0]) - MARGIN), max(0, side - length))
        part.append(slice(start, min(side, start + length)))
    rows, columns = part
    small = (rows.stop - rows.start) * (columns.stop - columns.start) <= MOST * differs.size
    return (rows, columns) if small else None


def redraw(pixels: Pixels, interpolator: FrameInterpolator, iters: int = 1) -> Pixels:
    """A frame (H, W, 3 or 4) as the interpolator draws it where nothing moves: see `pairs.pass_through`."""

    def walk(a: Tensor, b: Tensor) -> Iterator[Tensor]:
        yield pass_through(a, interpolator, iters)

    return next(draw_between(pixels, pixels, walk, interpolator.device))


def film_tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """(H, W, C) of uint8 or uint16 as float32 (1, C, H, W) in [0, 1]."""
    if pixels.dtype == np.uint8:
        planes = torch.from_numpy(np.array(pixels)).movedim(-1, 0).contiguous()  # as bytes: a quarter to move
        return planes.to(device).float().div_(255)[None]
    return torch.from_numpy(pixels.astype(np.float32) / 65535).movedim(-1, 0)[None].to(device)


def film_pixels(frame: Tensor, dtype: np.dtype) -> Pixels:
    """(1, C, H, W) in [0, 1] as (H, W, C) of uint8 or uint16; rounded, since cutting off would darken it."""
    if dtype == np.uint8:
        planes = frame[0].cpu().mul(255).round_().clamp_(0, 255).to(torch.uint8)
        return planes.movedim(0, -1).contiguous().numpy()
    values = frame[0].clamp(0, 1).movedim(0, -1).cpu().double().numpy()
    return np.rint(values * 65535).astype(np.uint16)


def premultiplied(frame: Tensor) -> Tensor:
    """(1, 4, H, W) with straight alpha, its colours multiplied by alpha."""
    return torch.cat([frame[:, :3] * frame[:, 3:], frame[:, 3:]], 1)


def straight(colour: Tensor, alpha: Tensor) -> Tensor:
    """Premultiplied (1, 3, H, W) and alpha (1, 1, H, W) as (1, 4, H, W) with straight alpha, black where it is 0."""
    alpha = alpha.clamp(0, 1)
    divided = torch.where(alpha > 0, colour / alpha.clamp(min=1e-6), torch.zeros_like(colour))
    return torch.cat([divided.clamp(0, 1), alpha], 1)


def draw_parts(
    draw: Callable[[list[Image.Image]], list[Image.Image]], images: Sequence[Image.Image]
) -> list[Image.Image]:
    """What `draw` makes of RGB images; of RGBA ones, of their colours on black and of their alpha, joined again.

    Images that come back as they went in are those given, bit for bit.
    """
    if all(image.mode == "RGB" for image in images):
        return draw(list(images))
    parts = [split(image.convert("RGBA")) for image in images]
    given = {_key(*part): image.convert("RGBA") for part, image in zip(parts, images, strict=True)}
    colours, alphas = (draw(list(layer)) for layer in zip(*parts, strict=True))
    return [given.get(_key(*part)) or joined(*part) for part in zip(colours, alphas, strict=True)]


def split(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """An RGBA image as two of RGB: its colours on black, and its alpha as grey."""
    values = np.asarray(image, np.uint16)
    colours = ((values[..., :3] * values[..., 3:] + 127) // 255).astype(np.uint8)
    return Image.fromarray(colours), image.getchannel("A").convert("RGB")


def joined(colours: Image.Image, alpha: Image.Image) -> Image.Image:
    """The RGBA image of its colours on black and its alpha as grey."""
    share = np.asarray(alpha, np.float32).mean(2, keepdims=True)
    straight_colours = np.asarray(colours, np.float32) * 255 / np.maximum(share, 1)
    values = np.concatenate([np.where(share > 0, straight_colours, 0), share], 2)
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))


def _key(colours: Image.Image, alpha: Image.Image) -> int:
    return hash((colours.tobytes(), alpha.tobytes()))
