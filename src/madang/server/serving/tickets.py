"""Tickets: signed, short-lived words that let a browser use one thing behind the gateway.

A page can't add a header to a link, an image or a websocket; it asks the API for a ticket and
puts `?ticket=` on the address. A ticket names its owner, one permission and one resource, is good
for minutes, and is of no use with the API.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

from madang.core.errors import Unauthenticated

TICKET_PREFIX = "mdq_"
MAX_TTL_S = 300.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """`resource_id` is an id, not a name: a ticket doesn't pass to the next thing of that name."""

    user_id: str
    permission: str
    kind: str
    resource_id: str
    expires_at: float


def sign_ticket(ticket: Ticket, key: bytes) -> str:
    """The word that stands for the ticket."""
    claim = base64.urlsafe_b64encode(json.dumps(asdict(ticket)).encode()).rstrip(b"=").decode()
    return f"{TICKET_PREFIX}{claim}.{_signature(claim, key)}"


def read_ticket(word: str, key: bytes, now: float) -> Ticket:
    """The ticket behind a word. Raises Unauthenticated when it was not signed with `key` or its
    time is over."""
    claim, _, signature = word.removeprefix(TICKET_PREFIX).rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(claim, key).encode()):
        raise Unauthenticated("this ticket is not valid", hint="Ask for a new one.")
    padded = claim + "=" * (-len(claim) % 4)
    ticket = Ticket(**json.loads(base64.urlsafe_b64decode(padded)))
    if ticket.expires_at <= now:
        raise Unauthenticated("this ticket has expired", hint="Ask for a new one.")
    return ticket


def _signature(claim: str, key: bytes) -> str:
    return hmac.new(key, claim.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
