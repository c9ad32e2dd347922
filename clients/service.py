"""The verbs of the practice for doors and upper rooms: households, clients, accounts, mandates, restrictions.

Each change is audited in its transaction. Which rows there are for a caller, the transaction's role decides.
"""

from clients.accounts import (
    change_account,
    halt,
    open_account,
    require_account,
    require_open_account,
    resume,
    set_autonomous,
)
from clients.assignments import assign, assignments_of, end_assignment
from clients.households import (
    add_household,
    archive_household,
    change_household,
    require_household,
    restore_household,
)
from clients.mandates import change_mandate, held_of, mandate_history, mandate_of, preview_mandate
from clients.overview import ClientAccount, list_clients
from clients.people import Opening, add_client, archive_client, change_client, require_client, restore_client
from clients.practice import PAPER_BOOK, practice_date
from clients.restrictions import (
    lift_restriction,
    restrict,
    restriction_choices,
    restrictions_of,
    upload_esg_flags,
)
from clients.sample import sample_clients

__all__ = [
    "PAPER_BOOK",
    "ClientAccount",
    "Opening",
    "add_client",
    "add_household",
    "archive_client",
    "archive_household",
    "assign",
    "assignments_of",
    "change_account",
    "change_client",
    "change_household",
    "change_mandate",
    "end_assignment",
    "halt",
    "held_of",
    "lift_restriction",
    "list_clients",
    "mandate_history",
    "mandate_of",
    "open_account",
    "practice_date",
    "preview_mandate",
    "require_account",
    "require_client",
    "require_household",
    "require_open_account",
    "restore_client",
    "restore_household",
    "restrict",
    "restriction_choices",
    "restrictions_of",
    "resume",
    "sample_clients",
    "set_autonomous",
    "upload_esg_flags",
]
