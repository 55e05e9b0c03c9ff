"""HTTP's statuses, which a SyncApp speaks, and gRPC's, which clients understand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc import StatusCode

from omega_plugins.transports.answers import RETRY_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega.core.ports import Reply

STATUS = "omega-status"
"""The trailing metadata that carries a refusal's own status, since several share one of gRPC's."""
_REASON_CHARS = 500
_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,
    409: StatusCode.ABORTED,
    413: StatusCode.INVALID_ARGUMENT,
    416: StatusCode.OUT_OF_RANGE,
    429: StatusCode.RESOURCE_EXHAUSTED,
    500: StatusCode.INTERNAL,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
_FALLBACK = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.UNIMPLEMENTED: 404,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 416,
    StatusCode.RESOURCE_EXHAUSTED: 429,
}


def code_of(reply: Reply) -> StatusCode:
    """Return what a refusal is in gRPC."""
    return _CODES.get(reply.status, StatusCode.UNKNOWN)


def reason_of(reply: Reply) -> str:
    """Return a refusal's words, within what trailing metadata may hold."""
    return reply.body[: 4 * _REASON_CHARS].decode(errors="replace")[:_REASON_CHARS]


def trailers_of(reply: Reply) -> tuple[tuple[str, str], ...]:
    """Return a refusal's trailing metadata."""
    told = dict(reply.headers).get(RETRY_AFTER, "")
    extra = ((RETRY_AFTER, told),) if told and told.isascii() and told.isprintable() else ()
    return (STATUS, str(reply.status)), *extra


def status_of(code: StatusCode, trailers: Iterable[tuple[str, str | bytes]]) -> tuple[int, dict[str, str]]:
    """Return a refusal's status, the app's own where it came along, and its trailing metadata as headers."""
    headers = {name: value for name, value in trailers if isinstance(value, str)}
    told = headers.get(STATUS, "")
    own = int(told) if told.isascii() and told.isdigit() and len(told) == 3 else 0
    return own or _FALLBACK.get(code, 500), headers
