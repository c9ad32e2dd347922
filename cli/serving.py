"""The API's own process under `acis up`: it is given the limited role's address and nothing that sees further."""

import http.client
import socket
import sys
from contextlib import closing, suppress
from http import HTTPStatus

from core.config import Settings, get_settings
from core.errors import Refused
from database.session import limited_url
from mlops.process import Process, process

_ANSWER_S_MAX = 5.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 where to knock when it listens everywhere


def api_process() -> Process:
    """The API's process, running or not; it has children where ACIS_API_PROCESSES is more than one."""
    settings = get_settings()
    return process("api", run_dir=settings.run_dir, log_dir=settings.log_dir)


def start_api() -> bool:
    """Start the API and return at once; False when it runs already. Refused where its port is somebody else's."""
    if api_process().is_alive():
        return False
    settings = get_settings()
    require_free_port(settings)
    command = [sys.executable, "-c", "from cli.main import run; run()", "api", "serve"]
    return api_process().start(command, environment=_environment(settings))


def api_is_ready() -> bool:
    """Whether the API says that requests may be sent to it."""
    settings = get_settings()
    host = _EVERY_ADDRESS.get(settings.api_host, settings.api_host)
    connection = http.client.HTTPConnection(host, settings.api_port, timeout=_ANSWER_S_MAX)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == HTTPStatus.OK
    return False


def api_address() -> str:
    """Where it answers."""
    settings = get_settings()
    return f"http://{settings.api_host}:{settings.api_port}"


def require_free_port(settings: Settings) -> None:
    """Refused where somebody listens on the API's port already."""
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.api_host, settings.api_port))
        except OSError as error:
            raise Refused(
                f"the API cannot listen on {settings.api_host}:{settings.api_port} ({error.strerror}): stop what does,"
                " or set ACIS_API_PORT or ACIS_API_HOST"
            ) from error


def _environment(settings: Settings) -> dict[str, str]:
    url = limited_url()
    environment = {"DATABASE_URL": url, "API_DATABASE_URL": url}
    # A service's log is read by machines, unless the operator said otherwise.
    if "log_json" not in settings.model_fields_set:
        environment["ACIS_LOG_JSON"] = "true"
    if "log_level" not in settings.model_fields_set:
        environment["ACIS_LOG_LEVEL"] = "INFO"
    return environment
