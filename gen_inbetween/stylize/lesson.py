"""What a style is learnt from and judged by, and frames drawn in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.runtime.checks import LARGEST_SEED, check_whole
from gen_inbetween.runtime.progress import track
from gen_inbetween.stylize.carrying import Chain, carry_keys, mixed
from gen_inbetween.stylize.examples import AWAY, ENOUGH, Example, Judge, carried, network_input
from gen_inbetween.stylize.guides import Estimator, GuidePoints, carry_points, filter_in_time
from gen_inbetween.stylize.network import StyleNetwork, translate
from gen_inbetween.stylize.sequence import Film, PaintedKey, Picture
from gen_inbetween.stylize.settings import StyleError, StyleSettings

log = logging.getLogger("gen_inbetween")

SHOWN = 6  # frames of a preview
SHOWN_SIDE = 256  # pixels of a side that are shown of each


@dataclass(frozen=True)
class Lesson:
    """All that is learnt from and judged by, ready before the first step."""

    examples: list[Example]
    judges: list[Judge]
    points: GuidePoints | None
    shown: list[tuple[Picture, Picture | None]]  # what a preview shows: frames as the network sees them, and guides
    estimate: Estimator  # the optical flow along which frames are averaged
    chains: dict[int, list[Chain]] = field(default_factory=dict)  # by frame: where it lies in keyframes, if carried

    def guide(self, number: int) -> Picture | None:
        """The guide picture of a frame, where guides are in use."""
        return None if self.points is None else self.points.draw(number)


def prepare(
    film: Film,
    keys: Sequence[PaintedKey],
    settings: StyleSettings,
    seed: int,
    hold_out: int | None,
    estimate: Estimator,
    *,
    progress: bool = False,
) -> Lesson:
    """Look through the film for what is learnt from: two passes at most, a few frames in memory.

    hold_out: a painted keyframe that is not learnt from but judges; None: frames near the keyframes judge, to which the
    painting is carried by optical flow. estimate: the optical flow of the settings (`stylize.open_estimator`).
    progress: a bar for each pass.

    StyleError: a keyframe that is held out but not there, or the only one; a film smaller than a patch. ValueError: a
    seed that is no whole number from 0 to LARGEST_SEED.
    """
    check_whole("seed", seed, 0, LARGEST_SEED)
    if hold_out is not None:
        hold_out = check_whole("hold_out", hold_out)
    if min(film.size) < settings.patch_size:
        raise StyleError(f"patches of {settings.patch_size} pixels do not fit into a film of {film.size}: patch_size")
    learnt = [key for key in keys if key.number != hold_out]
    if hold_out is not None and (len(learnt) == len(keys) or not learnt):
        raise StyleError(f"expected to hold out one of two painted keyframes or more, got frame {hold_out}")
    points = None
    if settings.guides:
        points = carry_points(
            track(film.pictures(), "guides", film.count, shown=progress), {key.number: key.mask for key in learnt},
            distance=settings.guide_distance, sigma=settings.guide_sigma, seed=seed, estimate=estimate,
        )  # fmt: skip
    chains = {}
    if settings.carry:
        passed = track(film.pictures(), "carrying", film.count, shown=progress)
        chains = carry_keys(passed, [key.number for key in learnt], settings.carry, estimate)
    near = {key.number + sign * away for key in keys for away in AWAY for sign in (1, -1)}
    shown = np.unique(np.linspace(0, film.count - 1, SHOWN).round().astype(int)).tolist()
    wanted = {key.number for key in keys} | near | set(shown)
    needed = track(filtered(film, settings, estimate, wanted.__contains__), "keyframes", film.count, shown=progress)
    frames = {number: frame for number, frame in enumerate(needed) if number in wanted}
    lesson = Lesson([], [], points, [], estimate, chains)
    place = _window_around(learnt[0].mask)
    for number in shown:
        guide = lesson.guide(number)
        lesson.shown.append((frames[number][place], None if guide is None else guide[place]))
    for key in learnt:
        example = Example(key.number, frames[key.number], lesson.guide(key.number), key.painted, key.mask)
        lesson.examples.append(example)
    held = [key for key in keys if key.number == hold_out]
    for key in held:
        lesson.judges.append(Judge(key.number, frames[key.number], lesson.guide(key.number), key.painted, key.mask))
    if not held:
        lesson.judges.extend(_near_judges(lesson, frames, {key.number for key in keys}))
    if not lesson.judges:
        log.info("no frame near a keyframe can judge: learning goes on for all of its %g minutes", settings.minutes)
    return lesson


def _near_judges(lesson: Lesson, frames: Mapping[int, Picture], painted: set[int]) -> Iterator[Judge]:
    for example in lesson.examples:
        for sign in (1, -1):
            for away in AWAY:
                number = example.number + sign * away
                if number not in frames or number in painted:
                    continue
                wanted, known = carried(example.painted, example.mask, example.source, frames[number])
                if known.mean() >= ENOUGH * example.mask.mean():
                    yield Judge(example.number, frames[number], lesson.guide(number), wanted, known)
                    break


def _window_around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The part of a frame that previews show: all of a small one, of a large one what lies around the painting."""
    slices = []
    for length, axis in zip(mask.shape, (1, 0), strict=True):
        middle = int(np.median(np.flatnonzero(mask.any(axis))))
        begin = min(max(0, middle - SHOWN_SIDE // 2), max(0, length - SHOWN_SIDE))
        slices.append(slice(begin, begin + SHOWN_SIDE))
    return slices[0], slices[1]


def filtered(
    film: Film, settings: StyleSettings, estimate: Estimator, needed: Callable[[int], bool]
) -> Iterator[Picture]:
    """The frames as the network sees them; those that are not needed as they are."""
    radius, temporal, colour = settings.temporal_radius, settings.temporal_sigma, settings.colour_sigma
    return filter_in_time(film.pictures(), radius, temporal, colour, needed, estimate)


def draw(network: StyleNetwork, frame: Picture, guide: Picture | None, tile: int) -> Picture:
    """One frame in the style, (H, W, 3) uint8."""
    device = next(network.parameters()).device
    drawn = translate(network, network_input(frame, guide).to(device), tile)[0]
    return ((drawn + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()


def preview_of(network: StyleNetwork, lesson: Lesson, tile: int) -> Image.Image:
    """Frames from the whole film above their translations; of large ones the part around the painting."""
    rows = [[frame for frame, _ in lesson.shown]]
    rows.append([draw(network, frame, guide, tile) for frame, guide in lesson.shown])
    return Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in rows], 0))


def translated(
    film: Film, network: StyleNetwork, lesson: Lesson, settings: StyleSettings, begin: int = 0
) -> Iterator[Pixels]:
    """All frames from `begin` on in the style, (H, W, 3 or 4) uint8; what is transparent stays so.

    Near keyframes that are carried, the paintings themselves are mixed in.
    """
    frames = filtered(film, settings, lesson.estimate, lambda number: number >= begin)
    for number, (frame, (_, alpha)) in enumerate(zip(frames, film.with_alpha(), strict=True)):
        if number < begin:
            continue
        drawn = draw(network, frame, lesson.guide(number), settings.tile)
        drawn = mixed(drawn, frame, number, lesson.chains.get(number, ()), lesson.examples, settings.carry)
        yield drawn if alpha is None else np.dstack([drawn, alpha])
