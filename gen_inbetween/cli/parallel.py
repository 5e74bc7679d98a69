"""One clip on several processes: their start, and what each of them is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gen_inbetween.diffusion.samplers.parallel import Ranks


@dataclass(frozen=True)
class Process:
    """This process of a run: the ranks it shares the clip with, None where it is alone, and its own device."""

    ranks: Ranks | None = None
    device: str | None = None

    @property
    def speaks(self) -> bool:
        """Whether it writes the clip and says so: the first of them does."""
        return self.ranks is None or self.ranks.rank == 0

    def device_for(self, asked: str | None) -> str | None:
        """The device where `asked` was said: "cuda" means one for each process, its own and not the first for all."""
        return self.device if asked is None or asked == (self.device or "").partition(":")[0] else asked


def launch(processes: int, arguments: list[str]) -> int:
    """Run this command in so many processes, by torch's launcher; their exit status.

    However this ends, they have ended before.

    ValueError: fewer than one.
    """
    if processes < 1:
        raise ValueError(f"--parallel {processes}: expected a number of processes, 2 or 4")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "gen_inbetween.cli", *without_parallel(arguments)]
    # It gives each process a session of its own, where no signal of ours or of the terminal comes to, and ends them
    # when it is asked to, once: so it has a session of its own, too, and is neither killed nor asked twice.
    launcher = subprocess.Popen(command, start_new_session=True)
    try:
        return launcher.wait()
    except BaseException:
        launcher.terminate()
        launcher.wait()
        raise


def without_parallel(arguments: list[str]) -> list[str]:
    """The command's arguments for each of its processes.

    >>> without_parallel(["run", "a.png", "--parallel", "2", "b.png", "--parallel=2"])
    ['run', 'a.png', 'b.png']
    """
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument != "--parallel" and not argument.startswith("--parallel="):
            kept.append(argument)
        skip = argument == "--parallel"
    return kept


def this_process() -> Process:
    """What this process is, under `inbetween run --parallel`, torchrun or `accelerate launch`; else alone."""
    from gen_inbetween.runtime.processes import launched_processes

    state = launched_processes()
    if state is None:
        return Process()
    from gen_inbetween.diffusion.samplers.parallel import Ranks

    return Process(Ranks.current(), str(state.device))
