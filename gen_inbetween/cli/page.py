"""`inbetween app`: the page in a browser."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from gen_inbetween.cli.errors import report_errors
from gen_inbetween.cli.options import Device, Overrides, check_address, check_service

LOGIN_VARIABLE = "GEN_INBETWEEN_LOGIN"
HERE = ("127.0.0.1", "localhost", "::1")


@report_errors
def page(
    folder: Annotated[Path, typer.Option(help="Where uploads and results are kept for a day.")] = Path(
        "inbetween_page"
    ),
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0: all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model that may be chosen, the first where none is; repeatable. [default: auto, pocket-2]"),
    ] = None,
    device: Device = None,
    override: Overrides = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
) -> None:
    """A page in the browser: clips, films, moving things, styles. Only this machine reaches it, unless --host says."""
    from gen_inbetween.runtime.config import apply_overrides, from_mapping

    given = {"folder": str(folder), "models": model, "device": device}
    values = apply_overrides({name: value for name, value in given.items() if value is not None}, override or ())
    login = read_login(os.environ.get(LOGIN_VARIABLE))
    if find_spec("gradio") is None:  # it is imported once all else is right: that takes long
        raise ImportError('gradio is not installed: pip install "gen_inbetween[app]"')
    from gen_inbetween.app.page.settings import PageSettings

    settings = from_mapping(PageSettings, values, where="options")
    check_address(host, port)
    check_service(settings.models, settings.device)
    from gen_inbetween.app.page.page import serve

    if login is None and host not in HERE:
        typer.echo(f"warning: anybody who reaches {host} may use this: set ${LOGIN_VARIABLE}=name:password", err=True)
    typer.echo(f"http://{host}:{port} is the page (Ctrl-C ends it); files are kept in {settings.folder}", err=True)
    serve(settings, host=host, port=port, auth=login, browser=browser)


def read_login(text: str | None) -> tuple[str, str] | None:
    """(name, password) of "name:password"; None where there is none. ValueError: something else."""
    if not text:
        return None
    name, _, password = text.partition(":")
    if not name or not password:
        raise ValueError(f"${LOGIN_VARIABLE}: expected name:password")
    return name, password


def add_to(app: typer.Typer) -> None:
    """Make the command part of `inbetween`."""
    app.command(
        name="app",
        epilog="\b\nExamples:\n  inbetween app\n  inbetween app --model svd-xt --port 8000 --no-browser\n"
        f"  {LOGIN_VARIABLE}=ann:secret inbetween app --host 0.0.0.0 --set max_mb=500",
    )(page)
