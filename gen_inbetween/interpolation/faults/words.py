"""Faults of a clip in words, for people who see no figures."""

from __future__ import annotations

from collections.abc import Mapping

# From where on a fault is named: between the figures of drawn clips with the fault and without (a walk that turns back
# has a bounce of 0.56, an even one 0.01; a cross-fade a ghosting of 0.38, true motion 0.03).
FAULTS: dict[str, tuple[float, str]] = {  # (limit, what a viewer says)
    "bounce": (0.15, "turns back"),
    "ghosting": (0.2, "two copies"),
    "freeze": (0.25, "stands still in places"),
    "flicker": (4.0, "flickers"),
    "endpoint_error": (5.0, "misses its keyframes"),
    "pace": (0.8, "uneven pace"),
}
# Grey levels: an interpolated photograph whose two sides fit has a ghosting of 0.26 at a depth of 1.7, and looks whole;
# its cross-fade 4.4, a drawn walker seen twice 7.8.
SEEN_TWICE = 3.0


def named_faults(faults: Mapping[str, float | None]) -> list[str]:
    """The names of the faults that a viewer would see, in the order of FAULTS.

    faults: as `find_faults` gives them; None or NaN: does not apply.

    >>> named_faults({"bounce": 0.4, "ghosting": 0.3, "ghost_depth": 1.0, "pace": None})
    ['bounce']
    """
    named = [name for name, (limit, _) in FAULTS.items() if (faults.get(name) or 0) > limit]
    depth = faults.get("ghost_depth")
    return [name for name in named if name != "ghosting" or depth is None or depth > SEEN_TWICE]


def faults_in_words(faults: Mapping[str, float | None]) -> str:
    """What is wrong with a clip, as far as figures tell.

    >>> faults_in_words({"bounce": 0.4, "flicker": 9.0}), faults_in_words({"bounce": float("nan")})
    ('turns back, flickers', 'no fault found')
    """
    return ", ".join(FAULTS[name][1] for name in named_faults(faults)) or "no fault found"
