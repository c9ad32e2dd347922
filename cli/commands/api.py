"""`acis api serve`, `acis api schema`: the service in the foreground, and its contract as a file."""

import json
import shutil
from importlib import import_module

import typer
import uvicorn

from cli.serving import require_free_port
from core.config import get_settings, share_metrics

group = typer.Typer(no_args_is_help=True)

_APPLICATION = "api.app:serve"
_STREAMS_END_S = 3


@group.command("serve")
def serve() -> None:
    """Answer on ACIS_API_HOST:ACIS_API_PORT with ACIS_API_PROCESSES processes, until Ctrl-C."""
    settings = get_settings()
    require_free_port(settings)
    folder = settings.run_dir / "metrics"
    shutil.rmtree(folder, ignore_errors=True)  # counts of processes that are gone
    folder.mkdir(parents=True)
    share_metrics(folder)
    uvicorn.run(
        _APPLICATION,
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_processes,
        loop="uvloop",
        http="api.protocol:Protocol",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=512,
        limit_concurrency=1_000,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_STREAMS_END_S,
    )


@group.command("schema")
def schema() -> None:
    """Print the OpenAPI document, keys sorted, so that two states can be compared line by line."""
    application = import_module("api.app").create_app()
    typer.echo(json.dumps(application.openapi(), indent=2, sort_keys=True, ensure_ascii=False))
