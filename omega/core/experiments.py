"""Experiments: what an operator tries on some households and not on others, and which of them each household is in.

An experiment's arms differ in how lists are made. A household's arm is a hash of the experiment and of a number that
the household drew for itself and never tells: uniform, the same after a restart, independent between experiments.
A shard learns an arm with what a day in it came to, adds that up, and keeps no row that has a household and its arm.
"""

from __future__ import annotations

from datetime import date
from hashlib import blake2b
from itertools import accumulate, combinations
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from omega.core.errors import InputError, shown
from omega.core.ranking_weights import NAMES

MAX_FILE_BYTES: Final = 2**16
MOST_EXPERIMENTS: Final = 16
MOST_ARMS: Final = 8
SHARES: Final = ("breadth", "explore")
"""Settings that an arm replaces, 0..1: which part of a list has the trend turned down, which is drawn."""
SCALED: Final = (
    *NAMES,
    *(
        "alike",
        "context_genre",
        "context_kind",
        "skill",
        "mood",
        "habit",
        "habits",
        "own",
        "resume",
        "given_up",
        "variety",
    ),
)
"""Weights of the ranking that an arm multiplies by a factor, whatever they were fitted to."""
LARGEST_FACTOR: Final = 10.0
_FORMAT = 1
_LONGEST_DAYS = 366
_TOLERANCE = 1e-9
_UNIT = 2.0**64

Word = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,31}\Z")]
Salt = Annotated[str, Meta(max_length=64)]


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to make lists; without changes it is the way they are made anyhow."""

    name: Word
    share: float
    """Of all households, above 0; those of all arms add up to 1."""
    settings: dict[str, float] = msgspec.field(default_factory=dict)
    """What replaces each of SHARES that is named."""
    factors: dict[str, float] = msgspec.field(default_factory=dict)
    """What each of SCALED that is named is multiplied by, 0..LARGEST_FACTOR."""

    def __post_init__(self) -> None:
        """Raise InputError for a share or a change out of its range."""
        if not 0 < self.share <= 1:
            raise InputError(f"share of arm {self.name} is {self.share}, allowed: above 0, up to 1")
        for what, changes, allowed, most in (
            ("settings", self.settings, SHARES, 1.0),
            ("factors", self.factors, SCALED, LARGEST_FACTOR),
        ):
            for name, value in changes.items():
                if name not in allowed:
                    known = ", ".join(allowed)
                    raise InputError(
                        f"{what} of arm {self.name} name {shown(name)}, allowed: {known}: use one of these"
                    )
                if not 0 <= value <= most:
                    raise InputError(f"{what} of arm {self.name}: {name} is {value}, allowed: 0..{most:g}")

    @property
    def changes(self) -> frozenset[str]:
        """The names of all that it changes."""
        return frozenset((*self.settings, *self.factors))


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is tried, on whom and when."""

    id: Word
    first_day: date
    last_day: date
    """By the household's clock, both of them included."""
    arms: Annotated[tuple[Arm, ...], Meta(min_length=2, max_length=MOST_ARMS)]
    salt: Salt = ""
    """Another one puts households into other arms."""

    def __post_init__(self) -> None:
        """Raise InputError for days that don't ascend, arms of one name, and shares that aren't everybody."""
        days = (self.last_day - self.first_day).days + 1
        if not 1 <= days <= _LONGEST_DAYS:
            raise InputError(
                f"{self.id} is from {self.first_day} to {self.last_day}, allowed: 1..{_LONGEST_DAYS} days: change a day"
            )
        if len(names := {arm.name for arm in self.arms}) < len(self.arms):
            raise InputError(f"{self.id} has {len(self.arms)} arms of {len(names)} names, allowed: a name each")
        if abs((total := sum(arm.share for arm in self.arms)) - 1) > _TOLERANCE:
            raise InputError(f"shares of {self.id} add up to {total:g}, allowed: 1: say what everybody else gets")

    def runs(self, day: date) -> bool:
        """Say whether it runs on a day."""
        return self.first_day <= day <= self.last_day

    @property
    def code(self) -> int:
        """The 32 bits that stand for it on the wire."""
        said = f"{self.id}\n{self.salt}".encode()
        return int.from_bytes(blake2b(said, digest_size=4, person=b"omega-trial").digest(), "big")

    def arm(self, household: bytes) -> Arm:
        """Return the arm of a household, given what it drew for itself, up to 64 bytes."""
        said = f"{self.id}\n{self.salt}".encode()  # no id has a line's end
        digest = blake2b(said, digest_size=8, key=household[:64], person=b"omega-arm").digest()
        place = int.from_bytes(digest, "big") / _UNIT
        ends = accumulate(arm.share for arm in self.arms)
        return next((arm for arm, end in zip(self.arms, ends, strict=True) if place < end), self.arms[-1])


class Experiments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that an operator tries now; no two at a time change the same."""

    experiments: Annotated[tuple[Experiment, ...], Meta(max_length=MOST_EXPERIMENTS)] = ()

    def __post_init__(self) -> None:
        """Raise InputError for two of one id, and for two that change the same on one day."""
        for one, other in combinations(self.experiments, 2):
            if one.id == other.id:
                raise InputError(f"experiment {one.id} stands twice, allowed: once: give it another id")
            both = frozenset[str]().union(*(arm.changes for arm in one.arms))
            both &= frozenset[str]().union(*(arm.changes for arm in other.arms))
            if both and one.first_day <= other.last_day and other.first_day <= one.last_day:
                raise InputError(
                    f"experiments {one.id} and {other.id} both change {min(both)}, allowed: one at a time: "
                    "nobody could tell which of them did it"
                )

    def arms(self, household: bytes, day: date) -> tuple[tuple[Experiment, Arm], ...]:
        """Return what runs on a day, each with the household's arm."""
        return tuple((one, one.arm(household)) for one in self.experiments if one.runs(day))


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    omega_experiments: int
    experiments: Annotated[tuple[Experiment, ...], Meta(max_length=MOST_EXPERIMENTS)]


def decode_experiments(raw: bytes, name: str = "the file") -> Experiments:
    """Return the experiments that `encode_experiments` wrote; raises InputError that calls them `name`."""
    if len(raw) > MAX_FILE_BYTES:
        raise InputError(f"{name} is {len(raw):,} B, allowed: {MAX_FILE_BYTES:,} B: end some experiments")
    try:
        file = msgspec.json.decode(raw, type=_File)
        found = Experiments(file.experiments)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"{name} holds no experiments ({error}): write them as docs/artifacts.md shows") from error
    if file.omega_experiments != _FORMAT:
        raise InputError(f"{name} is of format {shown(file.omega_experiments)}, allowed: {_FORMAT}: update omega")
    return found


def encode_experiments(experiments: Experiments) -> bytes:
    """Return the experiments as a JSON file."""
    file = _File(omega_experiments=_FORMAT, experiments=experiments.experiments)
    return msgspec.json.format(msgspec.json.encode(file)) + b"\n"
