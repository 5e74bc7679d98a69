"""The line of runs."""

import pytest

from gen_inbetween.app.page.line import Line, LineFullError

ANN, BOB, EVE = ("ann", "film"), ("bob", "film"), ("eve", "film")


def test_a_run_waits_for_those_before_it():
    line = Line(5)
    assert [line.join(key) for key in (ANN, BOB, EVE)] == [0, 1, 2]
    ticket = line.start(ANN)
    assert line.told("eve") == "At work: 1, Waiting: 2 (2 before yours)"
    line.leave(ticket)
    assert line.told("bob") == "Waiting: 2 (yours is next)"


def test_a_full_line_takes_nobody_and_a_tab_has_one_run():
    line = Line(1)
    line.join(ANN)
    with pytest.raises(LineFullError, match="1 run waits, and no more may"):
        line.join(BOB)
    line.start(ANN)
    with pytest.raises(ValueError, match="a run already"):
        line.join(ANN)
    assert line.join(BOB) == 1


def test_stop_reaches_a_run_and_a_place_in_the_line():
    line = Line(5)
    line.join(ANN), line.join(BOB)
    ticket = line.start(ANN)
    assert line.stop(ANN) == "working" and ticket.stopped.is_set()
    assert line.stop(BOB) == "waiting"
    assert line.stop(EVE) is None


def test_a_browser_that_goes_gives_up_its_places():
    line = Line(5)
    line.join(ANN), line.join(("ann", "style")), line.join(BOB)
    ticket = line.start(ANN)
    line.desert("ann")
    assert ticket.stopped.is_set()
    assert [each.key for each in line.tickets] == [ANN, BOB]  # the one at work leaves at its next step
    assert line.start(("ann", "style")) is None


def test_a_place_that_was_given_up_is_not_started_by_the_press_that_had_it():
    """Stopped while it waited, the pictures changed, pressed again: the first press' values must not be run."""
    line = Line(5)
    line.join(BOB), line.join(ANN)
    assert line.stop(ANN) == "waiting" and line.stop(ANN) is None
    assert line.told("ann") == "Waiting: 1"
    line.join(ANN)
    assert line.start(ANN) is None, "the first press"
    assert line.start(ANN) is not None, "the second one"


def test_a_double_click_is_one_run_whatever_comes_after_it():
    line = Line(5)
    line.join(ANN)
    with pytest.raises(ValueError, match="a run already"):
        line.join(ANN)
    ticket = line.start(ANN)
    line.leave(ticket)
    line.join(ANN)
    assert line.start(ANN) is None, "the second click of the first time"
    assert line.start(ANN) is not None
    assert len(line.places) == 1 == len(line.tickets)


def test_a_full_line_keeps_nothing_of_whom_it_refused():
    line = Line(1)
    line.join(BOB)
    for _ in range(3):
        with pytest.raises(LineFullError):
            line.join(ANN)
    assert line.told("ann") == "Waiting: 1"
    assert [line.start(ANN) for _ in range(3)] == [None] * 3
    assert [ticket.key for ticket in line.tickets] == [BOB]
