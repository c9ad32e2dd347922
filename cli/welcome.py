"""Who may sign in on a machine that nobody has set up yet: the sample firm's people, their passwords told once."""

from auth.people import Sample, list_people, sample_people
from clients.assignments import assign
from clients.service import list_clients
from core.config import get_settings
from database.session import transaction


def sample_sign_ins() -> list[Sample]:
    """The sample people with their passwords, made where nobody can sign in yet; else, and in production, nobody.

    The first advisor looks after every client but the last, the second after the last; the viewer sees them all.
    """
    if get_settings().environment == "production":
        return []
    with transaction() as session:
        if any(person.state != "no_password" for person in list_people(session)):
            return []
        made = sample_people(session)
        advisors = [person.user_id for person in made if person.role == "advisor"]
        viewers = [person.user_id for person in made if person.role == "viewer"]
        clients = {account.client_id: account.opened_on for account in list_clients(session)}
        for number, (client_id, opened_on) in enumerate(clients.items(), start=1):
            advisor = advisors[-1] if number == len(clients) else advisors[0]
            for user_id in (advisor, *viewers):
                assign(session, client_id=client_id, advisor_id=user_id, start_on=opened_on, actor="sample")
    return made
