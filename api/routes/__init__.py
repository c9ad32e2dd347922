"""The routes, one file per word."""

from api.routes import auth, data, health, instruments, portfolio, regimes, screens, strategies, users

ROUTERS = {
    "auth": auth.router,
    "data": data.router,
    "health": health.router,
    "instruments": instruments.router,
    "portfolio": portfolio.router,
    "regimes": regimes.router,
    "screens": screens.router,
    "strategies": strategies.router,
    "users": users.router,
}
