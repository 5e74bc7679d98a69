"""Work that is followed."""

import threading

import pytest

from gen_inbetween.app.page import follow as module
from gen_inbetween.app.page.follow import follow
from gen_inbetween.runtime.progress import track


def test_progress_news_and_the_result(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.01)
    gate = threading.Event()

    def work(show):
        for item in track(range(3), shown=False):
            if item == 2:
                show("half")
                gate.wait(5)
        return "film"

    events = []
    for event in follow(work):
        events.append(event)
        if event.news:
            gate.set()
    assert (events[-1].done, events[-1].total, events[-1].result) == (3, 3, ("film",))
    assert "half" in [event.news for event in events]


def test_news_may_be_a_tuple():
    def work(show):
        show(("look", "picture"))
        return "film"

    events = list(follow(work))
    assert ("look", "picture") in [event.news for event in events]
    assert [event.result for event in events if event.result is not None] == [("film",)]


def test_closing_stops_the_work_at_the_next_item(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.01)
    done, first = [], threading.Event()

    def work(show):
        for item in track(range(1000), shown=False):
            done.append(item)
            first.set()
            threading.Event().wait(0.01)

    events = follow(work)
    next(events)
    first.wait(5)
    events.close()
    assert 0 < len(done) < 1000
    assert "film tool" not in [thread.name for thread in threading.enumerate()]


def test_an_error_comes_out():
    def work(show):
        raise ValueError("no such film")

    with pytest.raises(ValueError, match="no such film"):
        list(follow(work))
