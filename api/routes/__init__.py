"""The routes, one file per word."""

from api.routes import health, instruments, regimes, screens, strategies

ROUTERS = {
    "health": health.router,
    "instruments": instruments.router,
    "regimes": regimes.router,
    "screens": screens.router,
    "strategies": strategies.router,
}
