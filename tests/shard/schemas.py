"""Whether a value fits a JSON schema, of as much of JSON Schema as the description uses; any other keyword fails."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

_TELLING = {"title", "description", "default"}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def misfit(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> str | None:
    """Return where and why the value doesn't fit, None when it does."""
    for keyword, told in schema.items():
        if keyword not in _TELLING and (found := _misfit(keyword, told, value, schema, document, at)):
            return found
    return None


def _misfit(  # noqa: C901, PLR0911, PLR0912  (a keyword each)
    keyword: str, told: Any, value: Any, schema: dict[str, Any], document: dict[str, Any], at: str
) -> str | None:
    if keyword == "$ref":
        return misfit(value, resolved(told, document), document, at)
    if keyword == "type":
        fits = isinstance(value, _TYPES[told]) and (told == "boolean" or not isinstance(value, bool))
        return None if fits else f"{at} is {value!r}, no {told}"
    if keyword == "properties":
        return next(
            (f for n, s in told.items() if n in value and (f := misfit(value[n], s, document, f"{at}.{n}"))), None
        )
    if keyword == "required":
        return next((f"{at} lacks {name}" for name in told if name not in value), None)
    if keyword == "additionalProperties":
        more = [name for name in value if name not in schema.get("properties", {})]
        if told is False:
            return f"{at} has {more}" if more else None
        return next((f for name in more if (f := misfit(value[name], told, document, f"{at}.{name}"))), None)
    if keyword == "items":
        return next((f for i, one in enumerate(value) if (f := misfit(one, told, document, f"{at}[{i}]"))), None)
    if keyword == "anyOf":
        found = [misfit(value, one, document, at) for one in told]
        return None if None in found else f"{at} fits none: {found}"
    if keyword == "enum":
        return None if value in told else f"{at} is {value!r}, none of {told}"
    if keyword == "minimum":
        return None if value >= told else f"{at} is {value} < {told}"
    if keyword == "maximum":
        return None if value <= told else f"{at} is {value} > {told}"
    if keyword == "pattern":
        return None if re.search(told, value) else f"{at} is {value!r}, not {told}"
    if (keyword, told) == ("format", "date"):
        return None if date.fromisoformat(value) else at
    raise AssertionError(f"{at}: {keyword} is no keyword that is known here")


def resolved(reference: str, document: dict[str, Any]) -> Any:
    """Return what a reference within the document names."""
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found
