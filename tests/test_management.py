"""What stands beside a shard, on its way through `omega shard serve`: TLS, transports, workers."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import TransportError
from omega.management import Management
from omega.shards import make_certificates
from omega_plugins.transports.http.server import bind
from tests.shard.serving import Served

if TYPE_CHECKING:
    from pathlib import Path


def test_rest_speaks_https_where_tvs_do_and_metrics_never(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "pki", ["127.0.0.1"])
    with Served(tmp_path, "--cert", str(tmp_path / "pki"), "--rest-port", "0", "--metrics-port", "0") as shard:
        trusting = ssl.create_default_context(cafile=made.ca)
        assert shard.urls["rest_url"].startswith("https://")
        with urllib.request.urlopen(  # noqa: S310  (to ourselves)
            shard.urls["rest_url"] + "/api/v1/health", timeout=30, context=trusting
        ) as answer:
            assert json.load(answer) == {"status": "live", "shard": 0, "region": ""}
        assert shard.urls["metrics_url"].startswith("http://")
        with urllib.request.urlopen(shard.urls["metrics_url"] + "/metrics", timeout=30) as answer:  # noqa: S310
            assert answer.status == 200


def test_workers_share_a_port_for_rest_and_have_their_own_for_metrics(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0, shared=True) as held:
        port = held.getsockname()[1]
        for _ in range(50):
            with bind("127.0.0.1", 0) as free:
                first = free.getsockname()[1]
            workers = [Management("127.0.0.1", port, first, tmp_path, None, worker=n, shared=True) for n in range(2)]
            try:
                with workers[0], workers[1]:
                    bound = [{name: one.getsockname()[1] for name, one in w._bound.items()} for w in workers]
                break
            except TransportError:  # somebody took the port, or the next
                continue
        assert bound == [{"rest": port, "metrics": first}, {"rest": port, "metrics": first + 1}]
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        alone = Management("127.0.0.1", 0, port, tmp_path, None)
        with pytest.raises(TransportError, match="can't be served at"):
            alone.__enter__()
        assert all(one.fileno() == -1 for one in alone._bound.values()), "what was bound before is let go of"
