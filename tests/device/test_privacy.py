"""The sentences on privacy say what is true of this TV."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from omega.core.records import Selection
from omega.core.types import ViewingEvent
from omega_storage.device_memory import MemoryDeviceStore
from tests.device.living import live

if TYPE_CHECKING:
    from omega.core.catalog import Catalog
    from omega.core.testing.fakes import Clock
    from omega.device.privacy import Privacy
    from tests.device.conftest import OpenBrain


def figures(found: Privacy) -> dict[str, int]:
    """Return the numbers that the sentences name, and what they count."""
    patterns = {
        "events": r"^([\d,]+) events? about",
        "titles": r" about ([\d,]+) titles?:",
        "queued": r"^([\d,]+) samples? would leave",
        "sent": r"^([\d,]+) samples? left so far",
        "retracted": r"; ([\d,]+) of them will be taken back",
        "local": r"^([\d,]+) titles? that no catalog has",
    }
    text = "\n".join((*found.held, *found.shared, *found.never_shared))
    numbers = {name: re.search(pattern, text, re.MULTILINE) for name, pattern in patterns.items()}
    return {name: int(number[1].replace(",", "")) if number else -1 for name, number in numbers.items()}


def test_the_figures_are_the_stores(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    assert figures(brain.privacy()) == dict.fromkeys(("events", "titles", "queued", "sent", "retracted", "local"), 0)
    assert "Profiles: none." in brain.privacy().held
    brain.set_profile("Ada")
    brain.set_profile("Ben", 7)
    assert "Profiles: Ada, Ben." in brain.privacy().held
    live(brain, example, clock, 30)
    for name in ("mine", "ours"):
        brain.observe(ViewingEvent(content_id=name, title=name, watch_pct=1.0))
    waiting = store.ledger.counts().queued
    held = {"events": 32, "titles": len(store.titles()), "local": 2}
    assert figures(brain.privacy()) == held | {"queued": waiting, "sent": 0, "retracted": 0}
    sent = store.ledger.assign("shard", 1, 1, 10)
    assert len(sent) == 10
    assert figures(brain.privacy()) == held | {"queued": waiting - 10, "sent": 10, "retracted": 0}
    store.ledger.acknowledge("shard", 1, 1)
    assert figures(brain.privacy()) == held | {"queued": waiting - 10, "sent": 10, "retracted": 0}
    brain.forget(Selection())
    nothing = {"events": 0, "titles": 0, "local": 0}
    assert figures(brain.privacy()) == nothing | {"queued": 0, "sent": 10, "retracted": 10}
    assert "Profiles: none." in brain.privacy().held


def test_what_is_said_never_to_be_shared_is_not_in_what_would_be(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    """A sample is a published title's key, a context, a day and a share; at most one a title, context and day."""
    store = MemoryDeviceStore()
    brain = open_brain(store)
    brain.set_profile("Ada")
    for minutes in (0, 10, 20):
        clock.advance(minutes=minutes)
        brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.5, profile="Ada"))
    brain.observe(ViewingEvent(content_id="mine", title="Ours", watch_pct=1.0))
    (sample,) = store.ledger.assign("shard", 1, 1, 100)
    assert set(sample.__struct_fields__) == {"id", "title_key", "slot", "day", "success_milli", "taste", "retracts"}
    assert (sample.slot, sample.success_milli) == (4, 500)
    assert sample.day == clock.now.toordinal() - clock.now.replace(year=1970, month=1, day=1).toordinal()
