"""The description of the management interface, OpenAPI 3.1, made from the table of routes and the replies' types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from omega import __version__
from omega.shard.rest import replies
from omega.shard.rest.routes import ROOT, by_path

if TYPE_CHECKING:
    from omega.shard.rest.routes import Param, Route

_SCHEMAS = "#/components/schemas/{name}"
_ALWAYS = {413: "A body was sent; none is read", 431: "The head is too long"}
_BAD_PARAMETER = {400: "A parameter is missing, unknown or out of range"}
_DENIED = {401: "No token, or none that counts", 429: "Too many wrong tokens came lately"}
_ROLE = {403: "The token is of another role"}


def description() -> dict[str, Any]:
    """Return the whole document."""
    routes = [route for methods in by_path().values() for route in methods.values()]
    answers = [route.answer for route in routes if route.answer is not replies.File]
    _, schemas = msgspec.json.schema_components([*answers, replies.Problem], ref_template=_SCHEMAS)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Exogenesis Omega: a shard's management",
            "version": __version__,
            "description": "Figures of titles are shown from three households on. `security` names the role.",
        },
        "servers": [{"url": ROOT}],
        "paths": {
            path: {method.lower(): _operation(route) for method, route in methods.items()}
            for path, methods in by_path().items()
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "From omega shard admin"}},
        },
    }


def statuses(route: Route) -> dict[int, str]:
    """Return what a route may answer beside 200, and when."""
    told = dict(_ALWAYS) | _BAD_PARAMETER
    if route.role:
        told |= _DENIED | _ROLE
    return dict(sorted((told | dict(route.other)).items()))


def _operation(route: Route) -> dict[str, Any]:
    problem = _content(replies.Problem)
    answers = {str(status): {"description": when, "content": problem} for status, when in statuses(route).items()}
    if route.answer is replies.File:
        answers["304"] = {"description": "It is what `if-none-match` names"}
    answers["431"] = {"description": _ALWAYS[431]}  # said before anything is read
    return {
        "operationId": route.name,
        "summary": route.told,
        "security": [{"token": [str(route.role)]}] if route.role else [],
        "parameters": [_parameter(param) for param in route.params],
        "responses": {"200": {"description": route.told, "content": _content(route.answer)}} | answers,
    }


def _content(answer: Any) -> dict[str, Any]:
    if answer is replies.File:
        return {replies.FILE_TYPE: {}}
    [schema], _ = msgspec.json.schema_components([answer], ref_template=_SCHEMAS)
    return {"application/json": {"schema": schema}}


def _parameter(param: Param) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "pattern": f"^{param.pattern}$"}
    if param.bounds:
        schema = {"type": "integer", "minimum": param.bounds[0], "maximum": param.bounds[1]}
    if param.default is not None:
        schema["default"] = param.default
    required = param.default is None
    return {"name": param.name, "in": param.where, "description": param.told, "required": required, "schema": schema}
