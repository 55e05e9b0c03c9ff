"""A client made from the .proto files by protoc alone completes a sync with a shard that serves HTTP and gRPC."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from omega.compose import open_brain, open_catalog, sync_now
from omega.core.settings import resolve
from omega.core.shard_records import unknown_title
from omega.core.testing.shard_contract import sums_of
from omega.core.types import ViewingEvent, title_key
from omega.core.wire import lineage_code, space_code, title_hash
from omega.device.sync import trends
from omega.shards import SHARD_SPACE, make_certificates, make_code
from omega_plugins.transports.grpc.protos.generate import PACKAGE, PROTOS, ROOT
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.serving import Served

if TYPE_CHECKING:
    from omega.core.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "grpc_tv.py"
TODAY = int(time.time()) // 86_400
EVENING, ALL = 4, 8
APART = """
import runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv.pop(1))
runpy.run_path(sys.argv[0], run_name="__main__")
known = [name for name in sys.modules if name.partition(".")[0] in ("omega", "omega_plugins", "omega_cli")]
sys.exit(f"it imported {known}" if known else 0)
"""


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what protoc makes of the .proto files for whoever has nothing else."""
    alone, out = tmp_path_factory.mktemp("protos"), tmp_path_factory.mktemp("stubs")
    (alone / PACKAGE).mkdir()
    for proto in PROTOS:
        (alone / PACKAGE / proto.name).write_bytes((ROOT / PACKAGE / proto.name).read_bytes())
    flags = [f"-I{alone}", f"--python_out={out}", f"--grpc_python_out={out}"]
    names = [f"{PACKAGE}/{proto.name}" for proto in PROTOS]
    subprocess.run([sys.executable, "-I", "-m", "grpc_tools.protoc", *flags, *names], check=True)
    return out


class Stranger:
    """A TV with a key of its own that runs as the example does, without this repository on its path."""

    def __init__(self, stubs: Path, url: str, *, ca: Path | None = None, code: str = "") -> None:
        self._command = [sys.executable, "-I", "-c", APART, str(EXAMPLE), str(stubs)]
        self._where = [url.partition("//")[2], str(ca or "-"), secrets.token_hex(32), code or "-"]

    def tells(self, *pushes: dict[str, Any]) -> list[dict[str, Any]]:
        """Enrol and push; return what is answered."""
        lines = "".join(json.dumps(push) + "\n" for push in pushes)
        done = subprocess.run(
            [*self._command, *self._where], input=lines, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def at_home(folder: Path, url: str | None = None) -> Settings:
    flags: dict[str, object] = {"home": folder, "store": folder / "tv", "embedder": "static"}
    return resolve(flags | ({"shard_url": url} if url else {}), {}).settings


def header(settings: Settings) -> dict[str, int]:
    lineage = open_catalog(settings).lineage
    return {"space": space_code(SHARD_SPACE), "lineage": lineage_code(lineage), "epoch": 1}


def sample(milli: int = 900, **title: object) -> dict[str, Any]:
    return {**title, "context": {"time": "TIME_OF_DAY_EVENING"}, "day": TODAY, "success_milli": milli}


def test_a_stranger_completes_a_sync_whose_sums_the_shard_holds(tmp_path: Path, stubs: Path) -> None:
    made = make_certificates(tmp_path / "pki")
    known = header(at_home(tmp_path))
    push = {"header": known, "incarnation": 77}
    first = {**push, "contributed": [sample(ordinal=3), sample(503, ordinal=17)]}
    with Served(tmp_path, "--grpc-port", "0", "--cert", str(tmp_path / "pki"), enrol="vouched") as shard:
        assert shard.grpc_url.startswith("grpcs://127.0.0.1:")
        code, _ = make_code(f"sqlite:///{shard.database}", uses=1)
        tv = Stranger(stubs, shard.grpc_url, ca=made.ca, code=code)
        told = tv.tells(
            {"incarnation": 77, "contributed": [sample(ordinal=3)]},
            first,
            first,
            {**first, "token": "of nobody"},
            {**push, "base": 1, "contributed": [sample(content_id="of tomorrow")], "retracted": [sample(ordinal=3)]},
            {**push, "base": 1, "contributed": [sample(1001, ordinal=3)]},
            {**push, "base": 2, "step": 0},
            {**push, "base": 2, "step": 0},
        )
    resync, counted, again, denied, moved, refused, heard, often = told
    assert resync["resync"]["reason"] == "REASON_LINEAGE"
    assert resync["resync"]["header"] == known
    assert (counted["ack"]["version"], again["ack"]["version"], moved["ack"]["version"]) == ("1", "1", "2")
    assert counted["ack"]["next_sync_s"] > 0
    assert [pull["header"] for pull in counted["pulls"]] == [known]
    assert (denied["refused"], denied["omega-status"]) == ("UNAUTHENTICATED", "401")
    assert refused["refused"] == "INVALID_ARGUMENT"
    assert "success_milli is 1001, allowed: 0..1000" in refused["words"]
    assert heard["ack"]["version"] == "2"
    assert often["refused"] == "RESOURCE_EXHAUSTED"
    assert int(often["retry-after"]) > 0
    with closing(SqliteShardStore.open(shard.database)) as store:
        sums = sums_of(store)
    new = unknown_title(title_hash(title_key("of tomorrow")))
    assert sums == {
        (title, slot): found for title, found in ((17, (1, 504, 1)), (new, (1, 900, 1))) for slot in (EVENING, ALL)
    }


def test_strangers_and_our_own_tv_hear_of_each_other(tmp_path: Path, stubs: Path) -> None:
    settings = at_home(tmp_path)
    titles, push = open_catalog(settings).titles, {"header": header(settings), "incarnation": 1}
    with Served(tmp_path / "shard", "--grpc-port", "0") as shard:
        for _ in range(2):
            (told,) = Stranger(stubs, shard.grpc_url).tells({**push, "contributed": [sample(1000, ordinal=3)]})
            assert told["ack"]["version"] == "1"
        ours = at_home(tmp_path, shard.grpc_url)
        with closing(open_brain(ours)) as brain:
            brain.observe(ViewingEvent(content_id=titles[3].id, watch_pct=1))
            done = sync_now(ours, brain)
            assert (done.error, done.contributed) == (None, 1)
            shard.begin_anew()
            (told,) = Stranger(stubs, shard.grpc_url).tells({**push, "base": 0, "step": 0})
            (trend,) = told["pulls"][0]["trending"]
            assert (trend["ordinal"], trend["households"], trend["success_milli"]) == (3, 3, 800)
            assert sync_now(at_home(tmp_path, shard.grpc_url), brain).pulled
            assert [(one.title, one.households) for one in trends.read(brain._store).trending] == [(3, 3)]
