"""Peak memory of `retime_video` by length of the film.

Each length is measured in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from gen_inbetween.media.video_writer import write_video

WIDTH, HEIGHT, FPS = 160, 90, 25

# getrusage would also count the process that started this one, so the peak is read where Linux keeps it by program.
PROGRAM = """
import json, re, sys
from pathlib import Path
from gen_inbetween.interpolation import retime_video
made = retime_video(sys.argv[1], sys.argv[2], scale=2.0, interpolator=sys.argv[3], resume=False)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps({"written": made.written, "peak_mb": int(peak) * 1024 / 1e6}))
"""


def peak_of_retiming(frames: int, interpolator: str = "blend") -> dict[str, float]:
    """Slow a film of so many frames of 160x90 to half its pace: {"written": frames, "peak_mb": of the process}.

    On Linux only. CalledProcessError: the retiming failed; it has said why on stderr.
    """
    with TemporaryDirectory() as folder:
        film = write_video(moving_bars(frames), Path(folder) / "film.mp4", FPS)
        command = [sys.executable, "-c", PROGRAM, str(film), str(Path(folder) / "slow.mp4"), interpolator]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return result


def moving_bars(frames: int) -> Iterator[Image.Image]:
    """Bars that move by two pixels a frame, drawn one at a time: nothing here grows with the length either."""
    x = np.arange(WIDTH)
    for number in range(frames):
        row = (127 + 100 * np.sin((x + 2 * number) / 9)).astype(np.uint8)
        yield Image.fromarray(np.ascontiguousarray(np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3))))
