"""Processes of a launcher. Two real ones: tests/generation/test_batch.py."""

from __future__ import annotations

from gen_inbetween.runtime.processes import launched_processes


def test_a_plain_shell_starts_no_process_group(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert launched_processes() is None
