"""Progress: every item is counted, to the thread that listens and to no other; a listener can stop the work."""

from __future__ import annotations

import threading

import pytest

from gen_inbetween.runtime.progress import listening, track


def test_items_are_counted_for_who_listens():
    heard = []
    with listening(lambda done, total: heard.append((done, total))):
        assert list(track(iter("abc"), total=5, initial=2, shown=False)) == list("abc")
    assert heard == [(3, 5), (4, 5), (5, 5)]
    assert list(track("ab", shown=False)) == ["a", "b"]  # nobody listens any more
    assert len(heard) == 3


def test_a_listener_stops_the_work_before_the_next_item():
    begun = []

    def stop(done: int, total: int | None) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), listening(stop):
        for item in track(range(9), shown=False):
            begun.append(item)
    assert begun == [0]


def test_another_thread_does_not_hear_it():
    heard = []
    with listening(lambda done, total: heard.append(done)):
        thread = threading.Thread(target=lambda: list(track("ab", shown=False)))
        thread.start()
        thread.join()
    assert heard == []
