"""Film, painted keyframes and masks: read and checked before any learning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.media.image import Frame, load_image, open_image
from gen_inbetween.media.reading.sequences import frame_numbers, image_files
from gen_inbetween.runtime.checks import check_whole
from gen_inbetween.runtime.hashing import frames_sha256, json_sha256, mask_sha256
from gen_inbetween.runtime.trust.limits import shorten
from gen_inbetween.stylize.settings import StyleError

LONGEST_NUMBER = 18  # digits of a frame's
Keys: TypeAlias = Mapping[int, Frame]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class PaintedKey:
    """A painted frame: its picture (H, W, 3) and where it is painted (H, W)."""

    number: int
    painted: Picture
    mask: NDArray[np.bool_]


def read_keys(keys: Keys, masks: Mapping[int, Frame] | None, size: tuple[int, int], count: int) -> list[PaintedKey]:
    """The painted frames in order, checked against a film of `count` frames of `size` = (width, height).

    A painted picture may be grey; where it is transparent it counts as not painted. A mask is white (128 and more)
    where it is painted.

    Raises:
        StyleError: no keyframe, one outside the film, of another size, with nothing painted; a mask without a keyframe.
        FrameError: a picture that cannot be read.
    """
    if not keys:
        raise StyleError("expected one painted keyframe or more, for example --key 12=painted.png; got none")
    for name, given in (("keyframes", keys), ("masks", masks or {})):
        if not isinstance(given, Mapping):
            raise StyleError(f"expected {name} as pictures by the number of their frame, got {given!r:.60}")
    masks = masks or {}
    keys, masks = ({_number(number): picture for number, picture in given.items()} for given in (keys, masks))
    if stray := sorted(set(masks) - set(keys)):
        raise StyleError(f"a mask is given for frame {stray[0]}, which has no painted keyframe: give one, or no mask")
    return [_read_key(number, keys[number], masks.get(number), size, count) for number in sorted(keys)]


def _read_key(number: int, key: Frame, mask: Frame | None, size: tuple[int, int], count: int) -> PaintedKey:
    if not 0 <= number < count:
        raise StyleError(f"keyframe {number!r} is outside the film, whose frames are 0 to {count - 1}")
    painted = open_image(key)
    _check_size(painted, size, f"the painted keyframe {number}")
    where = np.ones(size[::-1], bool)
    if painted.mode == "RGBA":
        where &= np.asarray(painted)[..., 3] >= 128
    if mask is not None:
        if isinstance(mask, np.ndarray) and mask.dtype == bool:
            mask = mask.astype(np.uint8) * 255
        picture = load_image(mask, background=(0, 0, 0)).convert("L")
        _check_size(picture, size, f"the mask of keyframe {number}")
        where &= np.asarray(picture) >= 128
    if not where.any():
        raise StyleError(f"the mask of keyframe {number} is empty: paint what is to be learnt white in it")
    return PaintedKey(number, np.asarray(painted.convert("RGB")), where)


def _number(number: object) -> int:
    try:
        return check_whole("the number of a painted frame", number)
    except ValueError as error:
        raise StyleError(str(error)) from error


def _check_size(picture: Image.Image, size: tuple[int, int], what: str) -> None:
    if picture.size != size:
        raise StyleError(
            f"{what} is {picture.width}x{picture.height} pixels, the film {size[0]}x{size[1]}: paint over a frame of "
            "its own size, as `inbetween stylize VIDEO --export 12=frame.png` writes it"
        )


def parse_keys(texts: list[str], what: str = "--key") -> dict[int, Path]:
    """ "12=painted.png" or "painted_0012.png", whose last number is the frame's, for each text.

    >>> parse_keys(["3=a.png", "-2=c.png", "shot2/b_0012.png"])
    {3: PosixPath('a.png'), -2: PosixPath('c.png'), 12: PosixPath('shot2/b_0012.png')}
    """
    keys: dict[int, Path] = {}
    for text in texts:
        number, sign, name = text.partition("=")
        numbered = sign and number.strip().removeprefix("-").isdecimal()
        path = Path(name if numbered else text)
        if len(number) > LONGEST_NUMBER and numbered:
            raise StyleError(f"{what} {shorten(text, 40)}: no film has that many frames")
        if not numbered:
            numbers = re.findall(r"\d+", path.stem)
            if not numbers:
                raise StyleError(f"{what} {text}: expected FRAME=PICTURE, or a name that ends in its frame's number")
            number = numbers[-1]
        if int(number) in keys:
            raise StyleError(f"{what}: two pictures for frame {int(number)}: give one")
        keys[int(number)] = path
    return keys


def place_in(film: Path, number: int) -> int:
    """Where in the film a frame is that is spoken of by number: in a folder of numbered files, the number of its name.

    StyleError: no file has that number.
    """
    numbers = frame_numbers(image_files(film))
    if numbers is None:
        return number
    if number not in numbers:
        raise StyleError(f"no file of {film} has the number {number}: they are numbered {numbers[0]} to {numbers[-1]}")
    return numbers.index(number)


def published_layout(folder: Path) -> tuple[Path, dict[int, Path], dict[int, Path]] | None:
    """Frames, painted keyframes and masks of a folder laid out as the published code reads them; None: it is not.

    A sequence NAME has NAME_train/{input_filtered,output,mask} and NAME_gen/input_filtered, with equal names across
    folders; `folder` is NAME_train, NAME_gen, or what holds both. Numbers are those of the names, counted among
    NAME_gen's.
    """
    trains = [path for path in (folder, *_children(folder)) if path.name.endswith("_train")]
    if not trains and folder.name.endswith("_gen"):
        trains = [folder.with_name(folder.name.removesuffix("_gen") + "_train")]
    train = next((path for path in trains if (path / "output").is_dir()), None)
    if train is None:
        return None
    gen = train.with_name(train.name.removesuffix("_train") + "_gen") / "input_filtered"
    if not gen.is_dir():
        raise StyleError(f"{train} has no {gen} beside it, which holds the frames to be painted: name another folder")
    numbers = {path.stem: index for index, path in enumerate(image_files(gen))}
    found: list[dict[int, Path]] = []
    for name in ("output", "mask"):
        files = image_files(train / name)
        if stray := [path for path in files if path.stem not in numbers]:
            raise StyleError(f"{stray[0]} belongs to no frame of {gen}: give both the same name")
        found.append({numbers[path.stem]: path for path in files})
    return gen, found[0], {number: path for number, path in found[1].items() if number in found[0]}


def _children(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


class Film:
    """The frames of a film as a screen shows them, read anew each time: colour (H, W, 3), and alpha where it has it.

    Args:
        read: gives all frames from the first on, RGB or RGBA.
        count: of frames.
    """

    def __init__(self, read: Callable[[], Iterator[Image.Image]], count: int) -> None:
        self._read, self.count = read, count
        self.size = next(read()).size

    def with_alpha(self) -> Iterator[tuple[Picture, NDArray[np.uint8] | None]]:
        """(colour, alpha (H, W) or None) of every frame in order.

        StyleError: fewer than there should be.
        """
        count = 0
        for frame in self._read():
            count += 1
            pixels = np.asarray(frame)
            yield np.ascontiguousarray(pixels[..., :3]), (pixels[..., 3] if pixels.shape[-1] == 4 else None)
        if count < self.count:
            raise StyleError(
                f"the film is damaged: {count} of its {self.count} frames can be read; cut off what cannot, or "
                "write it anew"
            )

    def pictures(self) -> Iterator[Picture]:
        """Colour alone, of every frame in order."""
        return (colour for colour, _ in self.with_alpha())


class Sequence256(NamedTuple):
    """Hashes of what a style belongs to."""

    film: str
    keys: str  # the painted frames, their numbers and masks


def sequence_of(film: str, keys: Sequence[PaintedKey]) -> Sequence256:
    """What binds a style: the film's hash, and the painted frames with their numbers and masks."""
    painted = [[key.number, frames_sha256(key.painted), mask_sha256(key.mask)] for key in keys]
    return Sequence256(film, json_sha256(painted))
