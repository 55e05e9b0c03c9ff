"""What a claim is, and how claims run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from omega.core.errors import InputError, OmegaError

if TYPE_CHECKING:
    from omega.claims.bench import Bench


class Measured(msgspec.Struct, frozen=True):
    """What a check found."""

    value: float
    details: dict[str, Any] = {}
    agrees: bool = True
    """Whether the oracle said the same; a claim without its oracle's consent isn't held, whatever its value."""


Check: TypeAlias = "Callable[[Bench], Measured]"


class Claim(msgspec.Struct, frozen=True):
    """A public figure."""

    name: str
    what: str
    target: float
    unit: str
    bound: Literal["at most", "at least"]
    oracle: str
    check: Callable[..., Measured]
    slow: bool = False
    """Runs only under --all, because it takes more than 20 s."""


class Result(msgspec.Struct, frozen=True):
    """What became of a claim."""

    name: str
    what: str
    measured: float | None
    target: float
    unit: str
    held: bool | None
    """None: it could not run; `details` says why."""
    oracle: str
    seconds: float
    details: dict[str, Any]
    bound: str = "at most"


def rounded(value: float) -> str:
    """Return a figure as it is shown: four digits, or whole thousands and more."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


class Claims:
    """A list of claims that its modules add to."""

    def __init__(self) -> None:
        """Start empty."""
        self.all: dict[str, Claim] = {}

    def add(
        self,
        name: str,
        *,
        what: str,
        target: float,
        unit: str,
        bound: Literal["at most", "at least"],
        oracle: str,
        slow: bool = False,
    ) -> Callable[[Check], Check]:
        """Return a decorator that adds its function as the check of a claim; a slow one takes more than 20 s."""

        def added(check: Check) -> Check:
            self.all[name] = Claim(name, what, target, unit, bound, oracle, check, slow)
            return check

        return added

    def chosen(self, only: Iterable[str], *, slow: bool) -> list[Claim]:
        """Return the claims of these names, or all quick ones (and the slow ones). Raises InputError."""
        names = list(only)
        if unknown := [name for name in names if name not in self.all]:
            raise InputError(f"claim is {unknown[0]!r}, allowed: {', '.join(self.all)}")
        return [self.all[name] for name in names] or [claim for claim in self.all.values() if slow or not claim.slow]


def run(claims: Iterable[Claim], bench: Bench) -> Iterator[Result]:
    """Run claims one by one; one that can't run is reported as neither held nor broken, with the reason."""
    for claim in claims:
        started = time.perf_counter()
        try:
            found = claim.check(bench)
        except OmegaError as error:
            yield _result(claim, None, held=None, started=started, details={"reason": str(error)})
        else:
            value = found.value
            within = value <= claim.target if claim.bound == "at most" else value >= claim.target
            yield _result(claim, value, held=within and found.agrees, started=started, details=found.details)


def _result(claim: Claim, value: float | None, *, held: bool | None, started: float, details: dict[str, Any]) -> Result:
    return Result(
        name=claim.name,
        what=claim.what,
        measured=value,
        target=claim.target,
        unit=claim.unit,
        held=held,
        oracle=claim.oracle,
        seconds=round(time.perf_counter() - started, 2),
        details=details,
        bound=claim.bound,
    )
