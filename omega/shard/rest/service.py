"""The management interface as an ASGI application: who asks is checked, then what; every refusal is JSON."""

from __future__ import annotations

import logging
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from omega.core.errors import OmegaError, StoreError, shown
from omega.core.identity.admins import Role, holder
from omega.shard.pacing import Allowance, Pace
from omega.shard.rest.answers import Answers
from omega.shard.rest.openapi import description
from omega.shard.rest.replies import FILE_TYPE, File, Problem
from omega.shard.rest.routes import ROOT, RefusedError, by_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from omega.core.identity.admins import Admin
    from omega.shard.inquiry import Inquiry
    from omega.shard.rest.answers import Facts
    from omega.shard.rest.routes import Route

WRONG_TOKENS = Pace(burst=20, refill_s=1.0)
"""So many at once, and one a second, hear 401; beyond, 429. A right token is always taken: with 256 bits to guess none
is guessed, and whoever could lock out an operator by guessing would."""
RETRY_S = 30
_BEARER = "bearer "
_LOG = logging.getLogger("omega.shard.rest")
_HEADERS = {"cache-control": "no-store"}


class Service:
    """One shard's management; `asgi` serves it."""

    def __init__(self, inquiry: Inquiry, facts: Facts, admins: Iterable[Admin] = ()) -> None:
        """`admins` may ask, until `use` names others."""
        self._answers = Answers(inquiry, facts)
        self._wrong = Allowance(WRONG_TOKENS)
        self.use(admins)

    def use(self, admins: Iterable[Admin]) -> None:
        """Take the admins as they are now."""
        self._admins = tuple(admins)

    @cached_property
    def asgi(self) -> Starlette:
        """The application."""
        paths = [Path(ROOT + path, _Endpoint(self, routes)) for path, routes in by_path().items()]
        handlers: Any = {RefusedError: _refused, HTTPException: _unknown, OmegaError: _failed, Exception: _broken}
        app = Starlette(routes=paths, exception_handlers=handlers)
        app.router.redirect_slashes = False
        return app

    async def answer(self, route: Route, request: Request) -> Any:
        """Return what a route answers. Raises RefusedError, StoreError."""
        admin = self._allowed(route, request.headers.get("authorization", ""))
        values = route.read(request.path_params, request.query_params.multi_items())
        if route.name == "description":
            return description()
        answer = await getattr(self._answers, route.name)(**values)
        if route.method != "GET":
            _LOG.info("%s by admin %s", route.name, admin.name if admin else "nobody")
        return answer

    def _allowed(self, route: Route, header: str) -> Admin | None:
        """Return who asks. Raises RefusedError."""
        if route.role is None:
            return None
        token = header[len(_BEARER) :].strip() if header[: len(_BEARER)].lower() == _BEARER else ""
        admin = holder(self._admins, token)
        if admin is None:
            raise self._denied(header)
        if admin.role not in (route.role, Role.OPERATOR):
            allowed = " or ".join(f"{role}'s" for role in sorted({route.role, Role.OPERATOR}))
            raise RefusedError(403, f"a token of role {admin.role}", f"a token of a {allowed}", "ask an operator")
        return admin

    def _denied(self, header: str) -> RefusedError:
        do = "send authorization: Bearer TOKEN, from omega shard admin"
        if header and (wait_s := self._wrong.wait_s(0, time.monotonic())):
            told = {"retry-after": str(int(wait_s) + 1)}
            return RefusedError(429, "too many wrong tokens", "a right one", do, told)
        found = "a token that doesn't count" if header else "no token"
        return RefusedError(401, found, "a token of an admin of this shard", do, {"www-authenticate": "Bearer"})


class _Endpoint:
    """What is at one path, by method."""

    def __init__(self, service: Service, routes: Mapping[str, Route]) -> None:
        self._service, self._routes = service, routes
        self._allow = ", ".join(sorted({*routes, "OPTIONS"} | ({"HEAD"} if "GET" in routes else set())))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._response(request)
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"allow": self._allow})
        route = self._routes.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            found, do = f"method {shown(request.method)}", "use one of these"
            raise RefusedError(405, found, self._allow, do, {"allow": self._allow})
        if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
            raise RefusedError(413, "a body", "none", "send the request without one", {"connection": "close"})
        answer = await self._service.answer(route, request)
        return _file(answer, request) if isinstance(answer, File) else _json(200, answer)


def _json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    data = msgspec.json.encode(value) + b"\n"
    return Response(data, status, {**_HEADERS, **(headers or {})}, "application/json")


def _file(file: File, request: Request) -> Response:
    """Return a file, or that it is the one that the asker has."""
    tag = f'"{file.tag}"'
    if tag in (told.strip() for told in request.headers.get("if-none-match", "").split(",")):
        return Response(b"", 304, {**_HEADERS, "etag": tag})
    return Response(file.data, 200, {**_HEADERS, "etag": tag}, FILE_TYPE)


async def _refused(_request: Request, error: RefusedError) -> Response:
    return _json(error.status, error.problem, error.headers)


async def _unknown(_request: Request, _error: HTTPException) -> Response:
    return _json(404, Problem("a path without anything", f"those of {ROOT}/openapi.json", "ask for one of them"))


async def _failed(_request: Request, error: OmegaError) -> Response:
    _LOG.warning("a question was not answered: %s", error)
    found = "a store that fails" if isinstance(error, StoreError) else "something that fails on the way to an answer"
    told = Problem(found, "one that answers", "ask later, and see the shard's log")
    return _json(503, told, {"retry-after": str(RETRY_S)})


async def _broken(_request: Request, _error: Exception) -> Response:
    return _json(500, Problem("a fault of the shard", "none", "see the shard's log"))
