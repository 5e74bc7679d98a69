"""Processes of a launcher. Two real ones: tests/generation/test_batch.py."""

from __future__ import annotations

from types import SimpleNamespace

from gen_inbetween.runtime.processes import gather, launched_processes, share_of


def test_a_plain_shell_starts_no_process_group(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert launched_processes() is None


def test_alone_a_process_does_all_the_work():
    assert share_of([1, 2, 3], None) == gather([1, 2, 3], None) == [1, 2, 3]


def test_processes_share_every_item_once():
    shares = [share_of(range(5), SimpleNamespace(process_index=index, num_processes=2)) for index in (0, 1)]
    assert [list(share) for share in shares] == [[0, 2, 4], [1, 3]]
