"""The table of routes: what is served, described and tested follows from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from omega.core.errors import shown
from omega.core.identity.admins import Role
from omega.shard.rest import replies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = "/api/v1"
Values: TypeAlias = "dict[str, Any]"
MOST_ON_A_PAGE = 200
LAST_START = 2_000


class RefusedError(Exception):
    """Something was asked that isn't answered: with a status, and why."""

    def __init__(
        self, status: int, found: str, allowed: str, do: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Say the three things."""
        super().__init__(found)
        self.status, self.headers = status, headers or {}
        self.problem = replies.Problem(found=found, allowed=allowed, do=do)


class Param(msgspec.Struct, frozen=True):
    """Something that a path or a query names; a number when it has bounds, else text of a pattern."""

    name: str
    where: Literal["path", "query"]
    told: str
    pattern: str = ""
    bounds: tuple[int, int] | None = None
    default: int | None = None
    """None: it must be given."""

    def read(self, text: str | None) -> Any:
        """Return the value. Raises RefusedError."""
        if text is None and self.default is not None:
            return self.default
        if text is not None and self.bounds is None and re.fullmatch(self.pattern, text):
            return text
        if text is not None and self.bounds and re.fullmatch(r"\d{1,9}", text, re.ASCII):
            least, most = self.bounds
            if least <= int(text) <= most:
                return int(text)
        found = "missing" if text is None else shown(text)
        allowed = f"{self.bounds[0]}..{self.bounds[1]}" if self.bounds else self.told
        raise RefusedError(400, f"{self.name} is {found}", allowed, f"give {self.name} as {ROOT}/openapi.json says")


class Route(msgspec.Struct, frozen=True):
    """A method at a path."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    """What answers it, a method of Service."""
    told: str
    answer: Any
    role: Role | None = Role.VIEWER
    """Who may ask, beside operators; None: anybody."""
    params: tuple[Param, ...] = ()
    other: tuple[tuple[int, str], ...] = ()
    """What else it may answer, beside what every route may."""

    def read(self, path: Mapping[str, str], query: Sequence[tuple[str, str]]) -> Values:
        """Return the values of all parameters. Raises RefusedError."""
        names = [param.name for param in self.params if param.where == "query"]
        given = [name for name, _ in query]
        for name in given:
            if name not in names or given.count(name) > 1:
                allowed = " and ".join(f"{known}, once" for known in names) or "none here"
                raise RefusedError(400, f"parameter {shown(name)}", allowed, "leave it out")
        told = dict(query) | dict(path)
        return {param.name: param.read(told.get(param.name)) for param in self.params}


_TITLE = Param("title", "query", "a title's id in the catalog", pattern=r"[^\x00-\x1f]{1,200}")
_TEXT = Param("text", "query", "1 to 200 characters, such as a genre or a plot", pattern=r"[^\x00-\x1f]{1,200}")
_DEVICE = Param("id", "path", "32 hex digits, as omega device enrol prints them", pattern="[0-9a-fA-F]{32}")
_START = Param("start", "query", "How many to pass over", bounds=(0, LAST_START), default=0)


def _limit(most: int, default: int) -> Param:
    return Param("limit", "query", "How many at most", bounds=(1, most), default=default)


_STRANGER = (404, "No such device enrolled here")
_NO_TITLE = (404, "The catalog has no such title")
_NO_EMBEDDER = (501, "The extra `device`, which reads texts, isn't installed")
_LATER = (503, "The store fails or doesn't answer: ask later")

ROUTES = (
    Route("GET", "/health", "health", "Whether the process lives", replies.Health, None),
    Route("GET", "/ready", "ready", "Whether syncs are taken", replies.Ready, None, (), (_LATER,)),
    Route("GET", "/openapi.json", "description", "This description", dict[str, Any], None),
    Route("GET", "/stats", "stats", "The shard in figures", replies.Stats, other=(_LATER,)),
    Route(
        "GET", "/devices/{id}", "device", "What is known of a device", replies.Device,
        params=(_DEVICE,), other=(_STRANGER, _LATER),
    ),
    Route(
        "DELETE", "/devices/{id}", "revoke", "Shut a device out for good; its row stays, what it told stays counted",
        replies.Device, Role.OPERATOR, (_DEVICE,), (_STRANGER, _LATER),
    ),
    Route(
        "GET", "/patterns", "patterns", "A title's figures by context", replies.Patterns,
        params=(_TITLE,), other=(_NO_TITLE, _LATER),
    ),
    Route(
        "GET", "/patterns/nearest", "nearest", "Titles that go well, by how alike their audience is", replies.Nearest,
        params=(_TITLE, _limit(50, 10)), other=(_NO_TITLE, _LATER),
    ),
    Route(
        "GET", "/patterns/search", "search", "Titles that are about a text, of those that are shown", replies.Search,
        params=(_TEXT, _limit(50, 10)), other=(_NO_EMBEDDER, _LATER),
    ),
    Route(
        "GET", "/trending", "trending", "What is on the rise", replies.Trends,
        params=(_START, _limit(MOST_ON_A_PAGE, 50)), other=(_LATER,),
    ),
    Route(
        "GET", "/sums", "sums", "What federation adds up: all titles' sums, those of one household among them",
        replies.File, Role.FEDERATION, other=(_LATER,),
    ),
    Route("GET", "/artifacts", "artifacts", "What is published", replies.Artifacts),
)  # fmt: skip


def by_path(routes: Iterable[Route] = ROUTES) -> dict[str, dict[str, Route]]:
    """Return the routes by path and method."""
    found: dict[str, dict[str, Route]] = {}
    for route in routes:
        found.setdefault(route.path, {})[route.method] = route
    return found
