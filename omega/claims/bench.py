"""What several claims share, made when first asked for: the fp32 model, and a TV with 10,000 patterns."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from omega.compose import EXAMPLE_CATALOG_PATH, open_brain
from omega.core.catalog import Catalog
from omega.core.types import SLOTS, ContentType, Title, ViewingEvent
from omega.models import DEFAULT_MODEL, find_model, fp32_model, open_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.ports import Embedder
    from omega.core.settings import Settings

PATTERNS = 10_000
SEASONS = 3
"""Each series of the example catalog is also there season by season, so that there are titles enough."""
_AT_ONCE = 500
_START = datetime(2025, 1, 6, tzinfo=UTC)
_HOUR_OF_SLOT = (8, 8, 14, 14, 19, 19, 23, 23)


class Bench:
    """A workplace for claims; close it to remove what it made."""

    def __init__(self, settings: Settings, progress: Callable[[int, int, str], None]) -> None:
        """`progress` hears of what takes longer than a second."""
        self.settings = settings
        self.progress = progress
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="omega-prove-")))

    def close(self) -> None:
        """Remove the temporary stores."""
        self._stack.close()

    @cached_property
    def model(self) -> Path:
        """The model folder that is judged: the one that ships, or the one that the settings name."""
        return self.settings.model or find_model(self.settings, DEFAULT_MODEL)

    @cached_property
    def fp32(self) -> Embedder:
        """The fp32 model, exported first if it isn't there."""
        return open_model(self.settings, fp32_model(self.settings, self.progress), threads=1)

    @cached_property
    def catalog(self) -> Catalog:
        """The example catalog with its series season by season: 1,400 titles of real text."""
        example = Catalog.read(EXAMPLE_CATALOG_PATH)
        series = [title for title in example if title.kind is ContentType.SERIES]
        seasons = [_season(title, number) for title in series for number in range(1, SEASONS + 1)]
        return Catalog.build([*example, *seasons])

    @cached_property
    def tv(self) -> Settings:
        """Settings of a TV that holds 10,000 patterns, one of each of so many titles and contexts."""
        settings = msgspec.structs.replace(
            self.settings,
            home=self.folder,
            store=self.folder / "tv",
            catalog=str(self.folder / "catalog.jsonl"),
            time_zone="UTC",
        )
        self.catalog.write(Path(settings.catalog))
        random = np.random.default_rng(7)
        pairs = random.permutation(len(self.catalog) * SLOTS)[:PATTERNS]

        def embedding(done: int, total: int) -> None:
            self.progress(done, total, "embedding 1,400 titles")

        with closing(open_brain(settings, progress=embedding, now=lambda: _START + timedelta(days=400))) as brain:
            for start in range(0, PATTERNS, _AT_ONCE):
                self.progress(start, PATTERNS, "watching 10,000 titles")
                with brain.many():
                    for turn, pair in enumerate(pairs[start : start + _AT_ONCE], start):
                        brain.observe(_event(self.catalog.titles[pair // SLOTS], int(pair % SLOTS), turn, random))
        return settings

    def options(self) -> dict[str, Any]:
        """Return what a fresh process needs to open the same TV."""
        return {name: str(value) for name, value in msgspec.structs.asdict(self.tv).items() if value is not None}


def _season(title: Title, number: int) -> Title:
    return msgspec.structs.replace(title, id=f"{title.id}.s{number}", title=f"{title.title}: season {number}")


def _event(title: Title, slot: int, turn: int, random: np.random.Generator) -> ViewingEvent:
    """Return a watch of the title in this context, some day of the year."""
    weekend = slot % 2
    at = _START + timedelta(weeks=turn % 52, days=5 * weekend, hours=_HOUR_OF_SLOT[slot], minutes=turn % 60)
    return ViewingEvent(content_id=title.id, watch_pct=round(float(random.beta(2, 1)), 3), at=at)
