"""Records with a hash of what they say, set aside when broken."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from gen_inbetween.runtime.files import write_json
from gen_inbetween.runtime.hashing import json_sha256

log = logging.getLogger("gen_inbetween")

SEAL = "sha256"  # the key of the hash, over everything else in the record


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write a record as JSON with its seal, all of it or nothing. OutputError: it cannot be written."""
    write_json(path, content | {SEAL: json_sha256(content)})


def read_sealed(path: Path) -> dict[str, Any] | None:
    """What a record says, without its seal; None where there is none.

    A record that is no JSON, has no seal or is not what was sealed is named in the log and set aside: None, too.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        set_aside(path, f"it cannot be read ({error})")
        return None
    seal = content.pop(SEAL, None) if isinstance(content, dict) else None
    if seal is not None and seal == json_sha256(content):
        sealed: dict[str, Any] = content
        return sealed
    set_aside(path, "it was edited" if seal else "it has no seal, as those of earlier versions")
    return None


def set_aside(path: Path, why: str) -> None:
    """Rename a file or folder that cannot be used to NAME.broken, or NAME.broken-2, ..., and say so in the log."""
    names = (f"{path.name}.broken{number}" for number in ("", *(f"-{number}" for number in range(2, 1000))))
    place = next(place for name in names if not (place := path.with_name(name)).exists())
    with suppress(FileNotFoundError):  # another process was faster
        os.replace(path, place)
        log.warning("%s: %s; it is set aside as %s and made again", path, why, place.name)
