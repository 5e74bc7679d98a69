"""The line of runs: one at work, the others waiting, each stoppable."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TypeAlias

Key: TypeAlias = tuple[str, str]  # (a browser's session, the tab)


@dataclass
class Ticket:
    """One run: it waits, or is at work."""

    key: Key
    working: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)


class LineFullError(ValueError):
    """As many runs wait as may."""


class Line:
    """Who waits, in order; for threads."""

    def __init__(self, longest: int) -> None:
        self.longest, self.tickets, self.lock = longest, list[Ticket](), threading.Lock()

    def join(self, key: Key) -> int:
        """Take a place; how many are before it. LineFullError: too many wait. A tab has one run at a time."""
        with self.lock:
            others = [ticket for ticket in self.tickets if ticket.key != key]
            if len(self.tickets) > len(others):
                raise ValueError("this tab has a run already; stop it, or wait for its end")
            if sum(not ticket.working for ticket in others) >= self.longest:
                raise LineFullError(f"{self.longest} runs wait, and no more may; try again later")
            self.tickets.append(Ticket(key))
            return len(others)

    def start(self, key: Key) -> Ticket | None:
        """Begin the run of this place; None: it was given up, or there is none."""
        with self.lock:
            ticket = next((each for each in self.tickets if each.key == key and not each.working), None)
            if ticket is not None:
                ticket.working = True
            return ticket

    def leave(self, key: Key) -> None:
        """The run is over."""
        with self.lock:
            self.tickets = [ticket for ticket in self.tickets if ticket.key != key]

    def stop(self, key: Key) -> str | None:
        """Stop a run at its next step, or give its place up; what became of it, None: there is none."""
        with self.lock:
            for ticket in self.tickets:
                if ticket.key == key:
                    ticket.stopped.set()
                    return "working" if ticket.working else "waiting"
        return None

    def desert(self, session: str) -> None:
        """A browser has gone: its runs stop, and those that wait are given up."""
        with self.lock:
            for ticket in self.tickets:
                if ticket.key[0] == session:
                    ticket.stopped.set()
            self.tickets = [ticket for ticket in self.tickets if ticket.key[0] != session or ticket.working]

    def told(self, session: str = "") -> str:
        """The line in words, with the place of this session's first run that waits.

        >>> line = Line(5)
        >>> line.join(("a", "film")), line.join(("b", "film"))
        (0, 1)
        >>> line.told("b")
        'Waiting: 2 (1 before yours)'
        """
        with self.lock:
            working = sum(ticket.working for ticket in self.tickets)
            own = next((k for k, each in enumerate(self.tickets) if each.key[0] == session and not each.working), None)
            waiting = len(self.tickets) - working
        words = [f"At work: {working}"] * bool(working) + [f"Waiting: {waiting}"] * bool(waiting)
        if own is not None:
            words[-1] += f" ({own} before yours)" if own else " (yours is next)"
        return ", ".join(words) or "The machine is free"
