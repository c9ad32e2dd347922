"""The routes, one file per word."""

from api.routes import (
    accounts,
    auth,
    clients,
    data,
    health,
    households,
    instruments,
    mandates,
    models,
    portfolio,
    regimes,
    screens,
    strategies,
    users,
)

ROUTERS = {
    "accounts": accounts.router,
    "auth": auth.router,
    "clients": clients.router,
    "data": data.router,
    "health": health.router,
    "households": households.router,
    "instruments": instruments.router,
    "mandates": mandates.router,
    "models": models.router,
    "portfolio": portfolio.router,
    "regimes": regimes.router,
    "screens": screens.router,
    "strategies": strategies.router,
    "users": users.router,
}
