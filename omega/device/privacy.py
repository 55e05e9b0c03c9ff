"""What is held of a household and what would leave the TV, in plain words, from what is really there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from omega.core.records import LedgerCounts


class Privacy(msgspec.Struct, frozen=True):
    """What is held, what would be shared, what never is; each a sentence."""

    held: tuple[str, ...]
    shared: tuple[str, ...]
    never_shared: tuple[str, ...]


_HELD = """\
{events} about {titles}: what was watched, when, how much of it, whether it was liked or chosen from a list, and by \
whom if a profile was named.
Profiles: {profiles}.
What follows from the events: how titles went at which time of day, and which genres do well on which evenings.
It lies in this TV's folder; omega device export shows all of it, omega device forget removes it."""
_SHARED = """\
{queued} would leave with the next sync: a published title, weekday or weekend and time of day, the date, how much was \
watched, and a short code of what was watched until the day before; at most one a title, context and day.
{sent} left so far; {retracted} of them will be taken back.
A shard adds them to sums, keeps no line of who watched what, and shows nothing that fewer than 3 households did."""
_NEVER = """\
{local} that no catalog has, and every event with them.
Profiles, moods, exact times, episodes, what was recommended, and the vectors.
What was watched in guest mode or while paused: it is not even held."""


def privacy(events: int, titles: int, local: int, profiles: tuple[str, ...], ledger: LedgerCounts) -> Privacy:
    """Return the sentences for a TV with so many events, titles, titles of its own, and profiles of these names."""
    words = {
        "events": _count(events, "event"),
        "titles": _count(titles, "title"),
        "profiles": ", ".join(profiles) or "none",
        "queued": _count(ledger.queued, "sample"),
        "sent": _count(ledger.unacknowledged + ledger.acknowledged + ledger.retractions, "sample"),
        "retracted": f"{ledger.retractions:,}",
        "local": _count(local, "title"),
    }
    held, shared, never = (tuple(text.format_map(words).splitlines()) for text in (_HELD, _SHARED, _NEVER))
    return Privacy(held, shared, never)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
