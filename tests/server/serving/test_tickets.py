"""Tickets: what is signed is what is read, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.core.errors import Unauthenticated
from madang.server.serving.tickets import TICKET_PREFIX, Ticket, read_ticket, sign_ticket

KEY = b"k" * 32
TICKET = Ticket("user-1", "endpoints:invoke", "endpoint", "endp-1", expires_at=100.0)


def test_read_back_until_its_end() -> None:
    word = sign_ticket(TICKET, KEY)
    assert word.startswith(TICKET_PREFIX)
    assert read_ticket(word, KEY, now=99.9) == TICKET
    with pytest.raises(Unauthenticated, match="expired"):
        read_ticket(word, KEY, now=100.0)


def test_another_key_and_another_claim() -> None:
    word = sign_ticket(TICKET, KEY)
    with pytest.raises(Unauthenticated):
        read_ticket(word, b"other" * 7, now=0)
    forged = sign_ticket(replace(TICKET, user_id="user-2"), b"mine" * 8)
    claim, signature = forged.rpartition(".")[0], word.rpartition(".")[2]
    with pytest.raises(Unauthenticated):
        read_ticket(f"{claim}.{signature}", KEY, now=0)


@given(st.text())
def test_anything_else_is_refused(word: str) -> None:
    with pytest.raises(Unauthenticated):
        read_ticket(TICKET_PREFIX + word, KEY, now=0)
