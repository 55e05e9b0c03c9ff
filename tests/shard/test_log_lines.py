"""What a shard logs: an object a line, and nowhere a device, a token or a title."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import urllib.request
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.errors import TransportError
from omega.core.identity.gate import answer
from omega.core.identity.messages import Admission, Challenge
from omega.core.identity.messages import decode as parsed
from omega.core.identity.messages import encode as worded
from omega.core.log_lines import SYNC_ID, JsonLines
from omega.core.types import title_key
from omega.core.wire import Header, Row, encode, lineage_code, space_code, title_hash
from omega.management import add_admin
from omega.shards import SHARD_SPACE
from omega_plugins.transports.http.client import HttpClient
from tests.shard.managing import a_key
from tests.shard.playing import a_push
from tests.shard.serving import Served

if TYPE_CHECKING:
    from pathlib import Path

TODAY = 20_700
TVS = 6


def test_no_line_names_a_device_a_token_or_a_title(tmp_path: Path) -> None:
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    header = Header(space=space_code(SHARD_SPACE), lineage=lineage_code(catalog.lineage), epoch=catalog.epoch)
    titles = catalog.titles[:8]
    hashes = [title_hash(title_key(title.id)) for title in titles]
    rows = [Row(hashed, 4, TODAY, 1000, b"", hashed=True) for hashed in hashes]
    push = encode(a_push(1, *rows, header=header))
    tokens: list[str] = []

    async def said(url: str, token: str, body: bytes) -> bytes:
        async with _client(url, token) as client:
            return await client.exchange(body)

    async def lived(url: str) -> None:
        for number in range(1, TVS + 1):
            challenge = parsed(await said(url, "", b""), Challenge)
            told = worded(answer(challenge, a_key(number), shard=0))
            tokens.append(parsed(await said(url, "", told), Admission).token)
            await said(url, tokens[-1], push)
            bad = [(tokens[-1], push[:-3]), (tokens[-1][:-1] + "!", push), (tokens[-1], b""), ("", told), ("", b"x")]
            for token, body in bad:
                with pytest.raises(TransportError):
                    await said(url, token, body)

    admin = add_admin(tmp_path / "home" / "shard", "ana", "operator")
    with Served(tmp_path, "--log-json", "--log-level", "debug", "--rest-port", "0") as shard:
        asyncio.run(lived(shard.url))
        for method, path in (
            ("GET", f"/patterns?title={titles[0].id}"),
            ("GET", f"/devices/{a_key(1).id.hex()}"),
            ("DELETE", f"/devices/{a_key(1).id.hex()}"),
        ):
            asked = urllib.request.Request(  # noqa: S310  (to ourselves)
                shard.urls["rest_url"] + "/api/v1" + path, headers={"Authorization": f"Bearer {admin}"}, method=method
            )
            with urllib.request.urlopen(asked, timeout=30) as told:  # noqa: S310  (the same)
                assert told.status == 200
        lines = shard.stop().splitlines()
    found = [json.loads(line) for line in lines]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in found)
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in found)
    syncs = [line for line in found if line["logger"] == "omega.shard.syncs"]
    assert len(syncs) == TVS * 8
    assert {line["message"].rpartition(" ")[2] for line in syncs} == {"200", "400", "401"}
    assert len({line["sync"] for line in syncs}) == len(syncs)
    assert all(re.fullmatch("[0-9a-f]{16}", line["sync"]) for line in syncs)
    assert "revoke by admin ana" in [line["message"] for line in found]
    text = "\n".join(lines).lower()
    secret = [admin, *tokens, *(title.id for title in titles), *(title.title for title in titles), *map(str, hashes)]
    for number in range(1, TVS + 1):
        key = a_key(number)
        secret += [key.id.hex(), key.public_key.hex()]
    assert [word for word in secret if word.lower() in text] == []


def _client(url: str, token: str) -> HttpClient:
    return HttpClient(url, token=lambda: token, ca=None, timeout_s=30)


def test_a_line_holds_what_a_record_does() -> None:
    out = StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    log = logging.Logger("a.b")  # noqa: LOG001  (one that nobody else has)
    log.addHandler(handler)
    log.warning('two\nlines, "%s"', "quoted")
    SYNC_ID.set(255)
    try:
        int("why")
    except ValueError:
        log.exception("it broke")
    plain, broken = map(json.loads, out.getvalue().splitlines())
    assert (plain["level"], plain["logger"], plain["message"]) == ("warning", "a.b", 'two\nlines, "quoted"')
    assert set(plain) == {"time", "level", "logger", "message"}
    assert (broken["level"], broken["sync"]) == ("error", "00000000000000ff")
    assert broken["traceback"].endswith("ValueError: invalid literal for int() with base 10: 'why'")
    assert sys.exc_info() == (None, None, None)
