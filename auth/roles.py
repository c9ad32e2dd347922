"""What each role may do: one table. Every route of the API declares one of these permissions."""

from collections.abc import Mapping

ROLES = ("admin", "advisor", "analyst", "viewer", "service")

_EVERYBODY = frozenset(ROLES)
_PRACTICE = frozenset({"admin", "advisor", "viewer", "service"})
_DECIDES = frozenset({"admin", "advisor"})
_LEARNS = frozenset({"admin", "analyst"})
_ADMIN = frozenset({"admin"})

# Rights over client data say what may be done with clients; which clients, the rows themselves decide (ADR 0021).
PERMISSIONS: Mapping[str, frozenset[str]] = {
    "self": _EVERYBODY,
    "users.read": _ADMIN,
    "users.write": _ADMIN,
    "clients.read": _PRACTICE,
    "clients.write": _DECIDES,
    "assignments.write": _ADMIN,
    "portfolio.read": _PRACTICE,
    "reports.write": _DECIDES,
    "recommendations.read": _PRACTICE,
    "recommendations.decide": _DECIDES,
    "orders.read": _PRACTICE,
    "orders.cancel": _DECIDES,
    "paper.write": _DECIDES,
    "autonomous.read": _PRACTICE,
    "autonomous.write": _DECIDES,
    "kill_switches.firm": _ADMIN,
    "market.read": _EVERYBODY,
    "models.read": _EVERYBODY,
    "models.train": _LEARNS,
    "models.promote": _LEARNS,
    "backtests.read": _EVERYBODY - {"service"},
    "backtests.run": _DECIDES | _LEARNS,
    "data.read": _EVERYBODY,
    "jobs.read": _EVERYBODY,
    "jobs.write": _EVERYBODY - {"viewer"},
    "admin.read": _ADMIN,
    "admin.write": _ADMIN,
    "audit.read": _ADMIN,
}

# Which clients' rows a role is shown, in the words of the database's policies: all, assigned or none.
SEES: Mapping[str, str] = {
    "admin": "all",
    "service": "all",
    "advisor": "assigned",
    "viewer": "assigned",
    "analyst": "none",
}


def permissions_of(role: str) -> frozenset[str]:
    """Everything that a role may do."""
    return frozenset(name for name, roles in PERMISSIONS.items() if role in roles)


assert set(SEES) == set(ROLES)
