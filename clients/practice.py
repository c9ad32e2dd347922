"""Which session the firm's own book has lived to: what "now" means on pages about clients."""

from datetime import date

from core.errors import DataMissing
from database.queries import runs
from database.session import Session

PAPER_BOOK = "paper"


def practice_date(session: Session) -> date:
    """The session of the newest night of book `paper` that succeeded; before any, the newest session with bars.

    Readable for every role. DataMissing where there are no bars either.
    """
    lived = runs.lived_until(session, job="nightly", book=PAPER_BOOK)
    if lived is None:
        raise DataMissing("no night has run and no bars are loaded: run `acis data load-sample`")
    return lived
