"""Named models and their weights, on this machine or the hub.

Three places are looked at, in this order: the path itself, the folder `$GEN_INBETWEEN_MODELS/<name>`, the hub's cache.
Nothing here touches the network except `fetch_file`, and nothing touches it when the module is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

MODELS_VARIABLE = "GEN_INBETWEEN_MODELS"
INDEX = "model_index.json"  # of a pipeline in diffusers' layout
MOTION_FILE = "backward_motion.safetensors"  # the backward motion that lies in, or beside, a model
HUB_IDS = {
    "svd-xt": "stabilityai/stable-video-diffusion-img2vid-xt",
    "svd": "stabilityai/stable-video-diffusion-img2vid",
    "svd-xt-1.1": "stabilityai/stable-video-diffusion-img2vid-xt-1-1",
}
BUNDLED = {"pocket-2": str(files("gen_inbetween") / "models" / "pocket_2")}  # folders of this installation
# huggingface_hub went from requests to httpx; the connection errors of the two have nothing in common but their origin.
_HTTP_CLIENTS = {"requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2"}


class ModelError(ValueError):
    """A model that cannot be found, fetched or used. One sentence says what came and what to do."""


def models_root() -> Path | None:
    """The folder of models: `$GEN_INBETWEEN_MODELS`, or where that is not set, `gen_inbetween/models` of the user.

    None: neither can be told, since there is no home folder.
    """
    if named := os.environ.get(MODELS_VARIABLE):
        return Path(os.path.expanduser(named))
    try:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    except RuntimeError:
        return None
    return data / "gen_inbetween" / "models"


def models_folder(name: str) -> Path | None:
    """The folder of this name in `models_root`, or None where there is none."""
    root = models_root()
    return root / name if root is not None and (root / name).is_dir() else None


def locate_model(source: str) -> str:
    """What diffusers opens: the folder of a named model, or its hub id; any other source is returned as it is.

    Raises:
        ModelError: what is no name, no folder that is there and no hub id.
    """
    if source in BUNDLED:
        return BUNDLED[source]
    if source in HUB_IDS:  # whatever folder of that name lies in the working directory
        folder = models_folder(source)
        return str(folder) if folder and (folder / INDEX).is_file() else HUB_IDS[source]
    if Path(os.path.expanduser(source)).is_dir():
        return str(Path(os.path.expanduser(source)))
    if source.count("/") != 1 or source.startswith(("/", ".", "~")) or source.endswith("/"):
        names = ", ".join((*HUB_IDS, *BUNDLED))
        raise ModelError(f"unknown model {source!r}: expected {names}, a folder, or a hub id such as owner/name")
    return source


def find_file(source: str, names: Sequence[str]) -> Path | None:
    """The first of `names` that `source` (a folder, a named model, a hub id) holds on this machine, or None."""
    source = BUNDLED.get(source, source)
    known_name = next((name for name, hub_id in HUB_IDS.items() if source in (name, hub_id)), None)
    folders = [models_folder(known_name) if known_name else None]
    if source not in HUB_IDS:  # a name stays that model, whatever folder of that name lies in the working directory
        folders.insert(0, Path(os.path.expanduser(source)))
    for folder in filter(None, folders):
        file = next((folder / name for name in names if (folder / name).is_file()), None)
        if file:
            return file
    for name in names:
        try:
            cached = try_to_load_from_cache(HUB_IDS.get(source, source), name)
        except HFValidationError:
            return None
        if isinstance(cached, str):  # otherwise None, or the hub's mark for "known not to exist"
            return Path(cached)
    return None


def fetch_file(hub_id: str, name: str) -> Path:
    """One file of a hub repository, from this machine if it is there, otherwise downloaded. ModelError says why not."""
    file = find_file(hub_id, [name])
    if file:
        return file
    with hub_errors(hub_id):
        return Path(hf_hub_download(hub_id, name))


@contextmanager
def hub_errors(hub_id: str) -> Iterator[None]:
    """Turns the hub's many exceptions, also where diffusers has wrapped them, into one ModelError each."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        message = _explain(hub_id, error)
        if message is None:
            raise
        raise ModelError(message) from error


def _explain(hub_id: str, error: BaseException) -> str | None:
    chain = _chain(error)
    if any(isinstance(e, GatedRepoError) for e in chain):  # before its parent, RepositoryNotFoundError
        return (
            f"{hub_id} is gated: accept its licence at https://huggingface.co/{hub_id} with your account, "
            "then run `hf auth login`"
        )
    if any(isinstance(e, RepositoryNotFoundError) for e in chain):
        return f"the hub has no model {hub_id!r}, or it is private: check the spelling, or run `hf auth login`"
    if any(isinstance(e, HFValidationError) for e in chain):
        return f"{hub_id!r} is neither a folder on this machine nor a hub id of the form owner/name"
    offline = any(isinstance(e, (LocalEntryNotFoundError, ConnectionError, TimeoutError)) for e in chain)
    if not offline and any(isinstance(e, (EntryNotFoundError, RevisionNotFoundError)) for e in chain):
        return f"{hub_id} is not a diffusers SVD pipeline: {str(error).splitlines()[0]}"
    http_error = next((e for e in chain if isinstance(e, HfHubHTTPError)), None)
    if not offline and http_error is not None:
        return f"the hub refused {hub_id}: {str(http_error).splitlines()[0]}"
    if offline or any(type(e).__module__.partition(".")[0] in _HTTP_CLIENTS for e in chain):
        return (
            f"offline: the Hugging Face hub cannot be reached for {hub_id}, and it is not in the hub's cache. Give the "
            f"path of a local folder as model, or set {MODELS_VARIABLE} to a folder which holds one folder per model"
        )
    return None


def _chain(error: BaseException) -> list[BaseException]:
    """The error and everything it was raised from; OfflineModeIsEnabled is a ConnectionError."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain
