"""Contact sheets and side-by-side videos of labelled clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

TILE_MIN, TILE_MAX = 160, 480  # pixels of a tile's longer side: readable beside a label, and a sheet that still opens
_FONT_SIZE = 16
_MARGIN = 6
_PAPER, _INK = (255, 255, 255), (20, 20, 20)

Frames = Sequence[Image.Image]


def contact_sheet(clips: Mapping[str, Frames], *, columns: int = 8) -> Image.Image:
    """Draw one labelled row a clip, from its first frame on the left to its last on the right.

    Args:
        clips: label -> RGB images; clips may differ in length and size. The label "" takes no room.
        columns: frames shown of each clip, evenly spaced, ends included; a shorter clip shows all it has.

    Small frames are enlarged by a whole factor without smoothing, large ones reduced, to tiles of 160 to 480 pixels.

    Returns:
        One RGB image.

    Raises:
        ValueError: no clips, a clip without frames, or columns < 2.
    """
    if columns < 2:
        raise ValueError(f"a contact sheet shows the first and the last frame, so columns >= 2; got {columns}")
    tile = _tile_size(clips)
    rows = [
        _labelled(label, _row([_tile(frames[index], tile) for index in _evenly_spaced(len(frames), columns)]))
        for label, frames in clips.items()
    ]
    return _column(rows)


def side_by_side(clips: Mapping[str, Frames], *, columns: int | None = None) -> list[Image.Image]:
    """Show clips next to each other in every frame, each under its label.

    Args:
        clips: label -> RGB images; clips may differ in size (as in `contact_sheet`) and in length: one that has
            ended holds its last frame until the longest ends.
        columns: clips in a row; by default all of them.

    Returns:
        As many RGB images, all of one size, as the longest clip has frames.

    Raises:
        ValueError: no clips, a clip without frames, or columns < 1.
    """
    if columns is not None and columns < 1:
        raise ValueError(f"side_by_side needs columns >= 1; got {columns}")
    tile = _tile_size(clips)
    per_row = columns or len(clips)
    return [_moment(clips, tile, per_row, time) for time in range(max(map(len, clips.values())))]


def _moment(clips: Mapping[str, Frames], tile: tuple[int, int], per_row: int, time: int) -> Image.Image:
    # A cell is as wide as the widest label, so that the layout does not depend on where a label stands.
    cells = [_labelled(label, _tile(frames[min(time, len(frames) - 1)], tile)) for label, frames in clips.items()]
    width = max(cell.width for cell in cells)
    cells = [_on_paper(cell, (width, cell.height), (0, 0)) for cell in cells]
    return _column([_row(cells[first : first + per_row]) for first in range(0, len(cells), per_row)])


def _tile_size(clips: Mapping[str, Frames]) -> tuple[int, int]:
    """The box (width, height) every frame is scaled into: the largest frame, brought between TILE_MIN and TILE_MAX."""
    if not clips:
        raise ValueError("there are no clips to show; give at least one")
    empty = [label for label, frames in clips.items() if len(frames) == 0]
    if empty:
        raise ValueError(f"the clip {empty[0]!r} has no frames to show")
    sizes = [frames[0].size for frames in clips.values()]
    return _scaled((max(width for width, _ in sizes), max(height for _, height in sizes)))


def _scaled(size: tuple[int, int]) -> tuple[int, int]:
    longer = max(size)
    if longer > TILE_MAX:
        return max(1, round(size[0] * TILE_MAX / longer)), max(1, round(size[1] * TILE_MAX / longer))
    factor = -(-TILE_MIN // longer)  # the smallest whole factor that reaches TILE_MIN; 1 for what is there already
    return size[0] * factor, size[1] * factor


def _tile(frame: Image.Image, tile: tuple[int, int]) -> Image.Image:
    """The frame as large as it fits into the tile, centred; whole factors are enlarged without smoothing."""
    scale = min(tile[0] / frame.width, tile[1] / frame.height)
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    whole = scale >= 1 and scale == int(scale)
    picture = frame.convert("RGB").resize(size, Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS)
    return _on_paper(picture, tile, ((tile[0] - size[0]) // 2, (tile[1] - size[1]) // 2))


def _evenly_spaced(length: int, count: int) -> list[int]:
    if length <= count:
        return list(range(length))
    return [round(index * (length - 1) / (count - 1)) for index in range(count)]


def _labelled(label: str, picture: Image.Image) -> Image.Image:
    """The picture under its label, as wide as the wider of the two."""
    if not label:
        return picture
    font = ImageFont.load_default(_FONT_SIZE)
    text_width = int(font.getlength(label)) + 2 * _MARGIN
    strip = _FONT_SIZE + 2 * _MARGIN
    canvas = _on_paper(picture, (max(picture.width, text_width), picture.height + strip), (0, strip))
    ImageDraw.Draw(canvas).text((_MARGIN, strip // 2), label, fill=_INK, font=font, anchor="lm")
    return canvas


def _on_paper(picture: Image.Image, size: tuple[int, int], at: tuple[int, int]) -> Image.Image:
    canvas = Image.new("RGB", size, _PAPER)
    canvas.paste(picture, at)
    return canvas


def _row(pictures: Sequence[Image.Image]) -> Image.Image:
    width = sum(picture.width for picture in pictures) + _MARGIN * (len(pictures) - 1)
    canvas = Image.new("RGB", (width, max(picture.height for picture in pictures)), _PAPER)
    left = 0
    for picture in pictures:
        canvas.paste(picture, (left, 0))
        left += picture.width + _MARGIN
    return canvas


def _column(pictures: Sequence[Image.Image]) -> Image.Image:
    height = sum(picture.height for picture in pictures) + _MARGIN * (len(pictures) - 1)
    canvas = Image.new("RGB", (max(picture.width for picture in pictures), height), _PAPER)
    top = 0
    for picture in pictures:
        canvas.paste(picture, (0, top))
        top += picture.height + _MARGIN
    return canvas
