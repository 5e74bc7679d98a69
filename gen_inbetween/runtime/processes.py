"""Processes: those of a launcher, and their end by a signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from accelerate import PartialState

Item = TypeVar("Item")


def launched_processes() -> PartialState | None:
    """accelerate's PartialState under a launcher of several processes; else None, and accelerate is not loaded."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return None
    from accelerate import PartialState

    from gen_inbetween.runtime.devices import default_device

    # Without a GPU accelerate wants to be told, or takes every process for the only one. The timeout: the first process
    # to finish waits for the slowest, and the usual ten minutes of patience would end the others' work.
    return PartialState(cpu=default_device().type == "cpu", timeout=timedelta(weeks=4))


def share_of(items: Sequence[Item], processes: PartialState | None) -> Sequence[Item]:
    """What this process does of work that all share: every n-th item, so that neighbours, alike in length, are spread.

    accelerate's own `split_between_processes` gives each process a block.
    """
    return items if processes is None else items[processes.process_index :: processes.num_processes]


def gather(items: list[Item], processes: PartialState | None) -> list[Item]:
    """The items of all processes, the same list in each; each waits here for the slowest."""
    if processes is None:
        return items
    from accelerate.utils import gather_object

    gathered: list[Item] = gather_object(items)
    return gathered


class Stopped(KeyboardInterrupt):
    """The process was asked to end by a signal; as after Ctrl-C, whatever is half done is cleared away."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.status = 128 + number  # as shells say it


def raise_on_signals() -> None:
    """Let SIGTERM and SIGHUP raise `Stopped` in the main thread, each once; a second one ends the process at once.

    For commands and scripts. What is ignored (as under nohup) or handled already stays so.
    """

    def stop(number: int, frame: Any) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)
