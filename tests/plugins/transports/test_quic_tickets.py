"""Tickets open at every worker that shares the key, once at each, and for a day."""

from __future__ import annotations

import os

import pytest
from aioquic.tls import CipherSuite
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import InputError
from omega_plugins.transports.quic.tickets import LIFETIME_S, Tickets

KEY, SUITE, SECRET = bytes(32), CipherSuite.AES_256_GCM_SHA384, bytes(range(48))


class Clock:
    def __init__(self) -> None:
        self.now_s = 20_000 * LIFETIME_S + 1000.0

    def __call__(self) -> float:
        return self.now_s


def at(clock: Clock, key: bytes = KEY, limit: int = 1000) -> Tickets:
    return Tickets(key, limit=limit, now=clock)


def test_a_ticket_opens_once_at_each_worker() -> None:
    clock = Clock()
    workers = [at(clock) for _ in range(3)]
    ticket = workers[0].seal(SUITE, SECRET)
    for worker in workers:
        found = worker.take(ticket)
        assert found
        assert (found.resumption_secret, found.cipher_suite) == (SECRET, SUITE)
        assert worker.take(ticket) is None
    assert SECRET not in ticket
    assert workers[0].seal(SUITE, SECRET) != ticket


def test_another_key_opens_nothing() -> None:
    clock = Clock()
    assert at(clock, os.urandom(32)).take(at(clock).seal(SUITE, SECRET)) is None
    with pytest.raises(InputError, match="ticket_key is 31 B"):
        at(clock, bytes(31))


@given(st.binary(max_size=200), st.integers(0, 90), st.integers(1, 255))
def test_garbage_and_altered_tickets_are_none(garbage: bytes, place: int, change: int) -> None:
    clock = Clock()
    tickets = at(clock)
    ticket = bytearray(tickets.seal(SUITE, SECRET))
    assert tickets.take(garbage) is None
    ticket[place % len(ticket)] ^= change
    assert tickets.take(bytes(ticket)) is None


def test_a_ticket_lasts_over_midnight_but_no_day() -> None:
    clock = Clock()
    clock.now_s += LIFETIME_S - 2000
    tickets = at(clock)
    first, second, third = (tickets.seal(SUITE, SECRET) for _ in range(3))
    clock.now_s += 3600
    assert tickets.take(first)
    clock.now_s += LIFETIME_S - 3601
    assert tickets.take(second)
    clock.now_s += 2
    assert tickets.take(third) is None


def test_a_clock_that_went_back_and_a_worker_that_began_later_refuse() -> None:
    clock = Clock()
    tickets = at(clock)
    clock.now_s += 60
    ticket = tickets.seal(SUITE, SECRET)
    clock.now_s += 1
    late = at(clock)
    assert late.take(ticket) is None
    clock.now_s -= 30
    assert tickets.take(ticket) is None


def test_what_was_forgotten_for_want_of_room_is_refused() -> None:
    clock = Clock()
    tickets = at(clock, limit=100)
    given_ = []
    for _ in range(30):
        given_ += [tickets.seal(SUITE, SECRET) for _ in range(10)]
        clock.now_s += 61
    taken = [ticket for ticket in given_ if tickets.take(ticket)]
    assert taken == given_
    assert tickets._count <= 100
    assert [ticket for ticket in given_ if tickets.take(ticket)] == []
    fresh = tickets.seal(SUITE, SECRET)
    assert tickets.take(fresh)


def test_more_at_once_than_there_is_room_for_open_once_or_not_at_all() -> None:
    clock = Clock()
    tickets = at(clock, limit=100)
    given_ = [tickets.seal(SUITE, SECRET) for _ in range(250)]
    taken = [ticket for ticket in given_ if tickets.take(ticket)]
    assert 100 <= len(taken) < 250
    assert not any(tickets.take(ticket) for ticket in given_)
