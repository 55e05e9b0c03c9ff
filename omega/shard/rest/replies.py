"""What the management interface answers, as values; their types are the schemas of its description."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec

from omega.core.artifacts.manifest import Kind
from omega.core.types import DayType, TimeSlot

Count = Annotated[int, msgspec.Meta(ge=0)]
DeviceId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Households = Annotated[int, msgspec.Meta(ge=3, description="At least so many: 3, 5, 10, 20, 50, ...")]
Success = Annotated[int, msgspec.Meta(ge=0, le=1000, description="Thousandths, in steps of 40")]
Momentum = Annotated[int, msgspec.Meta(ge=0, le=255, description="8 log2(1 + trend), which halves every day")]


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is answered."""


class Problem(Reply, frozen=True):
    """Why something was refused."""

    found: str
    allowed: str
    do: str


class Health(Reply, frozen=True):
    """The process lives."""

    status: Literal["live"]
    shard: Count
    region: str


class Ready(Reply, frozen=True):
    """Syncs are taken, and the store answers."""

    status: Literal["ready"]


class Since(Reply, frozen=True):
    """What the worker that answers did since it started."""

    started_at: Count
    """Unix seconds."""
    syncs: dict[str, Count]
    """By outcome."""
    contributed: Count
    retracted: Count
    waiting: Count
    """Syncs in the queue, now."""


class Privacy(Reply, frozen=True):
    """What was spent on figures with noise, in the words of differential privacy."""

    releases: Count
    released_at: Count
    """Unix seconds; 0: never."""
    epsilon_spent: Annotated[float, msgspec.Meta(ge=0)]
    """In the last 365 days."""
    epsilon_a_year: Annotated[float, msgspec.Meta(ge=0)]
    """The budget."""
    delta: Annotated[float, msgspec.Meta(ge=0, le=1)]
    floor: Count
    """Fewer samples of a title aren't told."""
    why: str
    """Why nothing new was released in the last round, if so."""


class Stats(Reply, frozen=True):
    """A shard in figures."""

    shard: Count
    region: str
    lineage: str
    epoch: Count
    catalog_titles: Count
    schema: Count
    devices: Count
    """Revoked ones included."""
    revoked: Count
    titles: Count
    """That three households support."""
    samples: Count
    """Of these titles, as shown."""
    worker: Count
    since: Since
    privacy: Privacy | None
    """Of the federation's board; None where its figures are told without noise."""


class Device(Reply, frozen=True):
    """What a shard knows of a device; of titles, nothing."""

    id: DeviceId
    number: Count
    revoked: bool
    tokens_since: Count | None
    """Unix seconds; tokens that were given before don't count. None once revoked."""
    seen: date
    """The day of its last sync, which is all that is kept of when."""
    incarnation: Count
    version: Count
    contributed: Count
    retracted: Count
    horizon: Count
    """The version that every backup holds."""
    mark_day: date
    mark_version: Count


class Context(Reply, frozen=True):
    """A time of day on weekdays or weekends."""

    time: TimeSlot
    day: DayType


class Figures(Reply, frozen=True):
    """What is shown of a title in a context."""

    context: Context | None
    """None: in all of them."""
    households: Households
    success: Success
    momentum: Momentum


class Patterns(Reply, frozen=True):
    """A title by context; no figures where fewer than three households support them."""

    title: str
    name: str
    patterns: list[Figures]


class Trend(Reply, frozen=True):
    """A title on the rise."""

    title: str
    name: str
    households: Households
    success: Success
    momentum: Momentum


class Trends(Reply, frozen=True):
    """A page of what is trending, most of all first."""

    trending: list[Trend]
    next: Annotated[int, msgspec.Meta(ge=1)] | None
    """The `start` of the page after this, None at the end."""


class Near(Reply, frozen=True):
    """A title that is watched by viewers alike."""

    title: str
    name: str
    nearness: Annotated[float, msgspec.Meta(ge=-1, le=1, description="Cosine of the audiences, in tenths")]
    households: Households
    success: Success


class Nearest(Reply, frozen=True):
    """The titles whose audiences are nearest to a title's; none where too few taste codes tell of it."""

    title: str
    name: str
    nearest: list[Near]


class Found(Reply, frozen=True):
    """A title that is about what was asked for."""

    title: str
    name: str
    nearness: Annotated[float, msgspec.Meta(ge=-1, le=1, description="Cosine of the texts' embeddings")]
    households: Households
    success: Success
    momentum: Momentum


class Search(Reply, frozen=True):
    """The titles nearest to a text, best first."""

    text: str
    found: list[Found]


class Artifact(Reply, frozen=True):
    """A file that is given out."""

    kind: Kind
    name: str
    version: Count
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    size_bytes: Count
    made_at: Count


FILE_TYPE = "application/octet-stream"


class File(Reply, frozen=True):
    """Bytes as they are, and what tells them from others; no JSON."""

    data: bytes
    tag: str


class Artifacts(Reply, frozen=True):
    """What pulls name."""

    artifacts: list[Artifact]
