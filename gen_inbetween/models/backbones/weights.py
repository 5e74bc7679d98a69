"""Weight files of published backbones: finding, fetching, checking by SHA-256.

A figure called FID is FID only with the very weights everybody uses, so each file is known by its SHA-256 and no other
content is loaded, wherever it came from: a cut-off download, a login page saved as weights, and the state of some other
network look alike until they are hashed.
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig
from transformers.utils import logging as transformers_logging

from gen_inbetween.runtime.hashing import file_sha256

CLIP_STAND_INS = "fd_clip_efficientnet_lite0[all,224] or fd_clip_dinov2s[all,224]"  # in place of FVD
CACHE_VARIABLE = "GEN_INBETWEEN_CACHE"
TIMEOUT = 15  # seconds without an answer after which a host counts as out of reach
log = logging.getLogger("gen_inbetween")


class MissingWeights(RuntimeError):
    """A backbone's file is not here and cannot be fetched, or is not the published one."""


@dataclass(frozen=True)
class WeightsFile:
    """One published file."""

    network: str  # what it holds, for people
    names: tuple[str, ...]  # the names under which others publish or keep the same content, ours first
    url: str
    sha256: str
    megabytes: int
    instead: str  # metrics, or settings, that need no download

    def resolve(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Where the file lies on this machine, its content checked; fetched if it is nowhere.

        Looked for at `path` if given, and only there; else in $GEN_INBETWEEN_CACHE, then in torch hub's cache. A
        download goes to the first of the two that is set, and is renamed into place once its hash is right.

        Raises:
            MissingWeights: with file, hash, address, folders, and the metrics that can be had instead.
        """
        if path is not None:
            path = Path(os.path.expanduser(path))
            if not path.is_file():
                raise MissingWeights(self._explain(f"there is no file {path}"))
            return self._check(path)
        files = [folder / name for folder in weights_folders() for name in self.names if (folder / name).is_file()]
        return self._check(files[0]) if files else self._fetch(weights_folders()[0] / self.names[0])

    def _check(self, path: Path) -> Path:
        digest = file_sha256(path)
        if digest != self.sha256:
            raise MissingWeights(
                self._explain(f"{path} is another file ({path.stat().st_size:,} bytes, sha256 {digest}): remove it")
            )
        return path

    def _fetch(self, target: Path) -> Path:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise MissingWeights(self._explain("HF_HUB_OFFLINE is set, so nothing is fetched"))
        log.info("fetching %s (%d MB) into %s", self.names[0], self.megabytes, target.parent)
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)  # torch asks for none
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(target), hash_prefix=self.sha256)
        except RuntimeError as error:
            raise MissingWeights(self._explain(f"the address gave another file: {error}")) from error
        except (OSError, HTTPException) as error:  # no such host, a refusal such as 404, a broken line, a full disk
            raise MissingWeights(self._explain(f"fetching it failed: {error}")) from error
        finally:
            socket.setdefaulttimeout(before)
        return target

    def _explain(self, reason: str) -> str:
        folders = " or ".join(str(folder) for folder in weights_folders())
        variable = "" if os.environ.get(CACHE_VARIABLE) else f" ({CACHE_VARIABLE} is not set; it adds a folder)"
        return (
            f"{self.network} needs the file {self.names[0]} ({self.megabytes} MB, sha256 {self.sha256}): {reason}. "
            f"Fetch {self.url} and put it into {folders}{variable}. Without a download: {self.instead}"
        )


def weights_folders() -> list[Path]:
    """$GEN_INBETWEEN_CACHE if set, then torch hub's own folder of checkpoints."""
    own = os.environ.get(CACHE_VARIABLE)
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    return [Path(os.path.expanduser(own)), hub] if own else [hub]


def load_strictly(model_class: Any, config: PretrainedConfig, state: dict[str, Tensor]) -> Any:
    """A model of that `PreTrainedModel` in evaluation mode, float32.

    `from_pretrained` and not `load_state_dict`, for it knows how names in files map to the module names of the
    installed version, which change; it is also content with half a state, hence the check.

    Raises:
        ValueError: naming tensors that are missing, left over, or of another shape.
    """
    progress_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        state = {name: value.float() for name, value in state.items()}
        model, report = model_class.from_pretrained(
            None, config=config, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
        )
    finally:
        if progress_bars:
            transformers_logging.enable_progress_bar()
    wrong = {what: sorted(map(str, names))[:3] for what, names in report.items() if names}
    if wrong:
        raise ValueError(f"the state does not fit {model_class.__name__}: {wrong}")
    return model.eval()
