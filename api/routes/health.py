"""Whether this service works: for load balancers, for those who watch it, for whoever asks which release it is."""

from hmac import compare_digest
from ipaddress import ip_address

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from api import metrics
from api.deps import public
from api.schemas.health import Live, Readiness, Release
from core.config import get_settings
from core.errors import NotFound
from core.version import code_commit, release
from database.readiness import why_not_ready

router = APIRouter(tags=["health"])


@router.get("/health/live", dependencies=[public(counted=False)])
async def tell_live() -> Live:
    """Whether the process answers at all: if not, start it again."""
    return Live(status="live")


@router.get(
    "/health/ready",
    dependencies=[public(counted=False)],
    responses={503: {"description": "Not ready, with the reasons.", "model": Readiness}},
)
async def tell_ready(request: Request, response: Response) -> Readiness:
    """Whether requests may be sent here: the database answers the API's own role, and its schema is the code's.

    Redis is told of and not needed: without it every process counts calls for itself and remembers no answers.
    """
    reasons = await run_in_threadpool(why_not_ready)
    redis = "up" if await request.app.state.rates.answers() else "down"
    if reasons:
        response.status_code = 503
    return Readiness(status="not ready" if reasons else "ready", reasons=reasons, redis=redis)


@router.get("/api/v1/version", dependencies=[public()])
async def tell_version() -> Release:
    """Which release answers, and of which commit."""
    return Release(release=release(), commit=code_commit())


@router.get("/metrics", dependencies=[public(counted=False)], include_in_schema=False)
def tell_metrics(request: Request) -> Response:
    """Prometheus' text form; 404 for whoever may not read it, as for any path that is not there."""
    if not _may_scrape(request):
        raise NotFound("page", "metrics")
    return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)


def _may_scrape(request: Request) -> bool:
    token = get_settings().metrics_token
    if token is not None:
        sent = request.headers.get("authorization", "")
        return compare_digest(sent.encode(), f"Bearer {token}".encode())
    peer = request.client.host if request.client else ""
    # Without a token only this machine may, and nobody behind a proxy on it.
    return "x-forwarded-for" not in request.headers and _is_loopback(peer)


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return peer == ""  # a Unix socket
