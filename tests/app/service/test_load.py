"""The load of several clients at once, small: every job ends, what is cancelled is freed, memory stays."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed")
import serve_load
from service_cases import listening


def test_many_clients_lose_no_job(tmp_path, capsys):
    with listening(tmp_path / "jobs", queue=5, workers=2) as client:
        serve_load.main(["--url", str(client.base_url), "--jobs", "40", "--clients", "8", "--frames", "3"])
    said = capsys.readouterr().out
    states = dict(re.findall(r"'(\w+)': (\d+)", re.search(r"states \{(.*?)\}", said)[1]))
    # A job may be done before its cancelling comes.
    assert sum(map(int, states.values())) == 40 and states.keys() <= {"done", "cancelled"} and int(states["done"]) >= 36
    assert "'queued': 0, 'running': 0" in said
    assert len(list((tmp_path / "jobs" / "finished").iterdir())) == 40
