"""Orders of steps over the noise levels: plain, repeated, restarted, distilled, cut short."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence


def plain_order(num_inference_steps: int) -> list[int]:
    """Every step once.

    >>> plain_order(4)
    [0, 1, 2, 3]
    """
    return list(range(num_inference_steps))


def early_steps(num_inference_steps: int, ratio: float) -> int:
    """How many of the first steps a share of them is, rounded down as in the published loops."""
    return int(num_inference_steps * ratio)


def repeat_early_order(num_inference_steps: int, renoise_steps: int, renoise_ratio: float) -> list[int]:
    """Each of the first `renoise_ratio` of the steps done 1 + `renoise_steps` times (Generative Inbetweening).

    >>> repeat_early_order(4, renoise_steps=2, renoise_ratio=0.5)
    [0, 0, 0, 1, 1, 1, 2, 3]
    """
    early = early_steps(num_inference_steps, renoise_ratio)
    return [i for i in range(num_inference_steps) for _ in range(1 + (renoise_steps if i < early else 0))]


def time_travel_order(
    num_inference_steps: int, renoise_steps: int, renoise_ratio: float, renoise_span: int
) -> list[int]:
    """Time travel (Time Reversal Fusion, after RePaint): in the first `renoise_ratio` of the steps, after every
    `renoise_span` of them, those are done again `renoise_steps` times; never back to pure noise.

    Their names: jump_length = renoise_span, jump_n_sample = 1 + renoise_steps, repeat_step_ratio = 1 - renoise_ratio.

    As in the published loop it is the late steps that are counted and rounded down, not the early ones.

    >>> time_travel_order(6, renoise_steps=1, renoise_ratio=0.7, renoise_span=2)
    [0, 1, 2, 1, 2, 3, 4, 3, 4, 5]
    """
    early = num_inference_steps - int(num_inference_steps * round(1 - renoise_ratio, 9))  # 1 - 0.8 is not quite 0.2
    jumps = set(range(early, renoise_span, -renoise_span))  # steps done at which x travels back
    order = []
    for done in range(1, num_inference_steps + 1):
        order.append(done - 1)
        if done in jumps:
            order += renoise_steps * list(range(done - renoise_span, done))
    return order


def restart_order(sigmas: Sequence[float], renoise_steps: int, min_sigma: float, max_sigma: float) -> list[int]:
    """The steps inside [min_sigma, max_sigma] done 1 + `renoise_steps` times over (Restart, arXiv 2306.14878).

    sigmas: falling noise levels, steps + 1 of them. An interval that holds no whole step repeats nothing.

    >>> restart_order([80, 40, 20, 10, 5, 0], renoise_steps=2, min_sigma=9, max_sigma=50)
    [0, 1, 2, 1, 2, 1, 2, 3, 4]
    """
    steps = len(sigmas) - 1
    inside = [i for i in range(steps) if sigmas[i] <= max_sigma and sigmas[i + 1] >= min_sigma]
    after = inside[-1] + 1 if inside else 0
    return [*range(after), *renoise_steps * inside, *range(after, steps)]


def distilled_order(num_inference_steps: int, mpd_ratio: float, mpd_repeats: int, renoise_steps: int = 0) -> list[int]:
    """Motion Prior Distillation: `mpd_repeats` distilling evaluations before each early step; later steps repeated.

    >>> distilled_order(4, mpd_ratio=0.5, mpd_repeats=2)
    [0, 0, 0, 1, 1, 1, 2, 3]
    >>> distilled_order(4, mpd_ratio=0.25, mpd_repeats=1, renoise_steps=2)
    [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    """
    early = early_steps(num_inference_steps, mpd_ratio)
    counts = [1 + (mpd_repeats if i < early else renoise_steps) for i in range(num_inference_steps)]
    return [i for i, count in enumerate(counts) for _ in range(count)]


def visits(order: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(step, how often it was done before) of an order.

    >>> list(visits([0, 0, 1, 0]))
    [(0, 0), (0, 1), (1, 0), (0, 2)]
    """
    done: dict[int, int] = {}
    for i in order:
        yield i, done.get(i, 0)
        done[i] = done.get(i, 0) + 1


def stop_when_settled(order: Sequence[int], disagreement: Callable[[], float], tolerance: float) -> Iterator[int]:
    """The order, its repeats left out from where they no longer bring the two directions together.

    After the first repeat of a step, a further one is made only while the disagreement at that step fell by more than
    `tolerance` of itself. An order that goes back over several steps is looked at where it starts again.

    disagreement: of the evaluation made last; asked for after each step.

    >>> falling = iter([1.0, 0.5, 0.49, 0.4])
    >>> list(stop_when_settled([0, 0, 0, 0, 0, 1], lambda: next(falling), tolerance=0.1))
    [0, 0, 0, 1]
    """
    measured: dict[int, list[float]] = {}
    level, settled = 0, False
    for i in order:
        earlier = measured.get(i, [])[-2:]
        settled = i < level and (settled or (len(earlier) == 2 and earlier[1] > (1 - tolerance) * earlier[0]))
        if settled:  # until the order is back where x is
            continue
        yield i
        measured.setdefault(i, []).append(disagreement())
        level = i + 1
