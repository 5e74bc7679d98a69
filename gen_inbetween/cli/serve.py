"""`inbetween serve`: the HTTP service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gen_inbetween.cli.errors import report_errors
from gen_inbetween.cli.options import ConfigFile, Device, Overrides, check_address, check_service

TOKEN_VARIABLE = "GEN_INBETWEEN_TOKEN"


@report_errors
def serve(
    folder: Annotated[Path, typer.Option(help="The folder of the jobs; a restart goes on with it.")] = Path("service"),
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0: all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8765,
    model: Annotated[
        list[str] | None, typer.Option(help="A model that jobs may name; repeatable. [default: auto]")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Jobs at a time. [default: 1]")] = None,
    allow_url: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Pictures may come from there; repeatable.")
    ] = None,
    device: Device = None,
    config: ConfigFile = None,
    override: Overrides = None,
) -> None:
    """Make clips over HTTP: a queue, progress as events, results kept. A token in $GEN_INBETWEEN_TOKEN is asked for."""
    from gen_inbetween.runtime.config import apply_overrides, from_mapping, read_mapping

    values = {} if config is None else read_mapping(config)
    given = {"folder": str(folder), "models": model, "workers": workers, "allow_url": allow_url, "device": device}
    values |= {name: value for name, value in given.items() if value is not None}
    values = apply_overrides(values, override or ())
    from gen_inbetween.app.service.settings import ServiceSettings
    from gen_inbetween.runtime.outputs import reserved

    settings = from_mapping(ServiceSettings, values, where="options" if config is None else str(config))
    check_address(host, port)
    check_service(settings.models, settings.device)
    try:
        import uvicorn

        from gen_inbetween.app.service.api import create_app
    except ImportError as error:
        raise ImportError(f'{error.name} is not installed: pip install "gen_inbetween[serve]"') from error
    token = os.environ.get(TOKEN_VARIABLE) or None
    with reserved(settings.folder / "service"):
        app = create_app(settings, token=token)
        if token is None and host not in ("127.0.0.1", "localhost", "::1"):
            typer.echo(f"warning: anybody who reaches {host} may use this: set ${TOKEN_VARIABLE}", err=True)
        typer.echo(f"http://{host}:{port}/docs shows what it takes; jobs are kept in {settings.folder}", err=True)
        uvicorn.run(app, host=host, port=port, log_level="warning", limit_concurrency=1000, timeout_graceful_shutdown=5)


def add_to(app: typer.Typer) -> None:
    """Make the command part of `inbetween`."""
    app.command(
        epilog="\b\nExamples:\n  inbetween serve --folder jobs/ --model svd-xt\n"
        "  inbetween serve --host 0.0.0.0 --workers 2 --allow-url https://images.example.com --set queue=20"
    )(serve)
