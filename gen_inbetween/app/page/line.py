"""The line of runs: one at work, the others waiting, each stoppable.

Each press of a button comes twice, in order: it joins the line, and once Gradio's own queue has come to it, it starts,
with the values that were on the page when it was pressed. A press that was refused or given up in between keeps its
turn, without a place in the line: else the next one's place would go to its old values.
"""

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
    void: bool = False  # refused, or given up: it only waits for its start, which comes to nothing
    stopped: threading.Event = field(default_factory=threading.Event)


class LineFullError(ValueError):
    """As many runs wait as may."""


class Line:
    """Who waits, in order; for threads."""

    def __init__(self, longest: int) -> None:
        self.longest, self.tickets, self.lock = longest, list[Ticket](), threading.Lock()

    @property
    def places(self) -> list[Ticket]:
        """Those at work and those that wait."""
        return [ticket for ticket in self.tickets if not ticket.void]

    def join(self, key: Key) -> int:
        """Take a place; how many are before it. LineFullError: too many wait. A tab has one run at a time."""
        with self.lock:
            places = self.places
            own = any(ticket.key == key for ticket in places)
            full = sum(not ticket.working for ticket in places) >= self.longest
            self.tickets.append(Ticket(key, void=own or full))
        if own:
            raise ValueError("this tab has a run already; stop it, or wait for its end")
        if full:
            wait = "1 run waits" if self.longest == 1 else f"{self.longest} runs wait"
            raise LineFullError(f"{wait}, and no more may; try again later")
        return len(places)

    def start(self, key: Key) -> Ticket | None:
        """Begin the run of this press; None: it was refused or given up, or there is none."""
        with self.lock:
            ticket = next((each for each in self.tickets if each.key == key and not each.working), None)
            if ticket is None:
                return None
            if ticket.void:
                self.tickets.remove(ticket)
                return None
            ticket.working = True
            return ticket

    def leave(self, ticket: Ticket) -> None:
        """The run is over."""
        with self.lock:
            self.tickets = [each for each in self.tickets if each is not ticket]

    def stop(self, key: Key) -> str | None:
        """Stop a run at its next step, or give its place up; what became of it, None: there is none."""
        with self.lock:
            for ticket in self.places:
                if ticket.key == key:
                    ticket.stopped.set()
                    ticket.void = not ticket.working
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
            places = self.places
        working = sum(ticket.working for ticket in places)
        own = next((k for k, each in enumerate(places) if each.key[0] == session and not each.working), None)
        waiting = len(places) - working
        words = [f"At work: {working}"] * bool(working) + [f"Waiting: {waiting}"] * bool(waiting)
        if own is not None:
            words[-1] += f" ({own} before yours)" if own else " (yours is next)"
        return ", ".join(words) or "The machine is free"
