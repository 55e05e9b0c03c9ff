"""The household's clock: local time whose offset follows the rules of its zone, summer and winter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo


class MachineZone(tzinfo):
    """The machine's own time zone with its own rules: each moment has the offset of its day, summer or winter."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return the offset at a local time."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Return None: how much of the offset is summer time isn't known."""

    def tzname(self, moment: datetime | None) -> str | None:
        """Return the zone's short name at a local time."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime) -> datetime:
        """Return the local time of a moment in UTC."""
        local = moment.replace(tzinfo=UTC).astimezone()
        first = local.replace(tzinfo=None)
        return first.replace(tzinfo=self, fold=first.astimezone().utcoffset() != local.utcoffset())


def local_now(zone: tzinfo | None = None) -> datetime:
    """Return the time by the household's clock, aware; `zone` None is the machine's own."""
    return datetime.now(zone or MachineZone())
