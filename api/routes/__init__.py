"""The routes, one file per word."""

from api.routes import regimes

ROUTERS = {
    "regimes": regimes.router,
}
