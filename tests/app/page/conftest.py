"""Runs of the page's tabs, called as Gradio calls them: no server and no browser."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

ANN = SimpleNamespace(session_hash="ann")


@pytest.fixture(scope="module")
def blocks_and_page(tmp_path_factory):
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "gen_inbetween[app]"')
    from gen_inbetween.app.page.page import build_page
    from gen_inbetween.app.page.settings import PageSettings

    return build_page(PageSettings(folder=tmp_path_factory.mktemp("page")))


@pytest.fixture
def press(blocks_and_page):
    """`press(tab, values)`: the last words of a run, and every value that it put on the page, by element.

    values: by label or element, "state" without either; the others as the page opens with them.
    """
    blocks, page = blocks_and_page

    def press(tab, values):
        stop = next(each for each in blocks.blocks.values() if each.elem_id == f"{tab}-stop")
        (run,) = (fn for fn in blocks.fns.values() if fn.name == "run" and stop in fn.outputs)
        names = [{each.elem_id, getattr(each, "label", None)} - {None} or {"state"} for each in run.inputs]
        assert not (unknown := set(values) - set().union(*names)), unknown
        given = [
            next((value for name, value in values.items() if name in known), getattr(each, "value", None))
            for each, known in zip(run.inputs, names, strict=True)
        ]
        page.line.join(("ann", tab))
        shown = {}
        for update in run.fn(ANN, *given):
            shown |= {each.elem_id: value for each, value in update.items()}
        return shown[f"{tab}-status"], shown

    return press


@pytest.fixture
def pair(tmp_path):
    from page_cases import pair_of_pictures

    return [str(path) for path in pair_of_pictures(tmp_path)]


@pytest.fixture
def film(tmp_path):
    from page_cases import film_of_scene

    return str(film_of_scene(tmp_path / "walk.mp4", seconds=0.6))
