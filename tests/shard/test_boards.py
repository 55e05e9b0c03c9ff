"""What all shards say together is told in place of a shard's own sums, while it is fresh, and to nobody who may not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard

from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import BOARDS_FOLDER, Board, BoardRow, Section
from omega.core.privacy import Account
from omega.core.shard_records import ALL_SLOTS, Figures
from omega.core.wire import Ack, decode, encode
from omega.shard.boards import FRESH_S, Boards
from omega.shard.pulls import MOST_TRENDING
from omega.shard.shelves import Published
from tests.core.test_audience import BASIS
from tests.shard.playing import CATALOG, HEADER, SPACE, a_push, a_row, on_shard

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import ShardStore
    from omega.core.wire import Pull
    from omega.shard.shard import Shard

KEY = SigningKey.generate()
KEYS = Keyring([KEY.public])
NOW = int(time.time())
DAY = NOW // 86_400


def a_row_of(title: int, households: int = 3, trend: float = 3.0, code: bytes = b"") -> BoardRow:
    figures = Figures(households, 900 * households, households, DAY, (trend, trend, trend, trend))
    return BoardRow(title, ALL_SLOTS, figures, code)


def a_board(*rows: BoardRow, **changed: Any) -> Board:
    facts: dict[str, Any] = {
        "round": 1,
        "lineage": CATALOG.lineage,
        "epoch": CATALOG.epoch,
        "space": SPACE,
        "made_at": NOW,
        "day": DAY,
        "basis": 1,
        "inputs": "x",
        "sections": {"": Section(rows, (9,)), "eu": Section((a_row_of(21),))},
    }
    return Board(**(facts | changed))


class Operator:
    """Who publishes."""

    def __init__(self, folder: Path, region: str = "") -> None:
        self.shelf, self.boards = Shelf(folder), Shelf(folder / BOARDS_FOLDER)
        folder.mkdir()
        self.files = Published(folder, KEYS, CATALOG, region)

    def publish(self, board: Board, by: SigningKey = KEY) -> None:
        self.boards.publish(board.encode(), Kind.BOARD, by, made_at=NOW)

    def publish_basis(self) -> None:
        self.shelf.publish(BASIS.encode(), Kind.AUDIENCE, KEY, made_at=NOW)


async def pulled(shard: Shard, epoch: int = CATALOG.epoch) -> Pull:
    header = msgspec.structs.replace(HEADER, epoch=epoch)
    answer = await shard.sync(0, a_push(0, base=0, header=header))
    assert isinstance(answer.receipt, Ack)
    assert answer.pull
    return answer.pull


async def watched(shard: Shard, title: int, households: range) -> None:
    for slot in households:
        assert isinstance((await shard.sync(slot, a_push(1, a_row(title)))).receipt, Ack)
    await shard.make_pull()


def titles(pull: Pull) -> list[int]:
    return [trend.title for trend in pull.trending]


def test_two_here_and_one_there_are_told_and_what_this_shard_hides_elsewhere_too(
    store: ShardStore, tmp_path: Path
) -> None:
    operator = Operator(tmp_path / "shelf")

    async def play(shard: Shard) -> None:
        await watched(shard, 7, range(2))
        await operator.files.look(shard)
        assert titles(await pulled(shard)) == []
        operator.publish_basis()
        operator.publish(a_board(a_row_of(7, code=b"\x12" * 6), a_row_of(8, 12)))
        await operator.files.look(shard)
        pull = await pulled(shard)
        assert [(t.title, t.households, t.audience) for t in pull.trending] == [(7, 3, b"\x12" * 6), (8, 10, b"")]
        assert pull.removed == (9,)
        assert decode(encode(pull), max_bytes=9_000) == pull

    on_shard(store, play)


def test_codes_are_told_beside_their_own_basis_alone(store: ShardStore, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "shelf")

    async def play(shard: Shard) -> None:
        operator.publish(a_board(a_row_of(7, code=b"\x12" * 6)))
        await operator.files.look(shard)
        assert [t.audience for t in (await pulled(shard)).trending] == [b""], "the basis isn't named yet"
        operator.publish_basis()
        await operator.files.look(shard)
        assert [t.audience for t in (await pulled(shard)).trending] == [b"\x12" * 6]
        operator.publish_basis()
        await operator.files.look(shard)
        assert [t.audience for t in (await pulled(shard)).trending] == [b""], "another version is"

    on_shard(store, play)


def test_an_old_board_gives_way_to_what_the_shard_has(
    store: ShardStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Operator(tmp_path / "shelf")

    async def play(shard: Shard) -> None:
        await watched(shard, 5, range(4))
        operator.publish(a_board(a_row_of(7)))
        await operator.files.look(shard)
        assert titles(await pulled(shard)) == [7]
        monkeypatch.setattr("omega.shard.boards.FRESH_S", -1.0)
        await operator.files.look(shard)
        assert titles(await pulled(shard)) == [5]
        monkeypatch.undo()
        await operator.files.look(shard)
        assert titles(await pulled(shard)) == [7]
        for file in operator.boards.folder.iterdir():
            file.unlink()
        await operator.files.look(shard)
        assert titles(await pulled(shard)) == [5]

    on_shard(store, play)


def test_a_shard_tells_its_own_region(store: ShardStore, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "shelf", "eu")

    async def play(shard: Shard) -> None:
        operator.publish(a_board(a_row_of(7)))
        await operator.files.look(shard)
        assert titles(await pulled(shard)) == [21]

    on_shard(store, play)


def test_an_old_epoch_hears_of_titles_that_it_has(store: ShardStore, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "shelf")

    async def play(shard: Shard) -> None:
        rows = [a_row_of(title) for title in range(39, 25, -1)]
        operator.publish(a_board(*rows))
        await operator.files.look(shard)
        assert sorted(titles(await pulled(shard, epoch=1))) == [26, 27, 28, 29]
        assert len(titles(await pulled(shard))) == 14 < MOST_TRENDING

    on_shard(store, play)


@pytest.mark.parametrize(
    "changed",
    [{"lineage": "0" * 16}, {"space": 1}, {"made_at": NOW - FRESH_S - 60}, {"made_at": NOW + 2 * 3600}],
)
def test_a_board_for_others_is_passed_over(tmp_path: Path, changed: dict[str, Any]) -> None:
    operator = Operator(tmp_path / "shelf")
    boards = Boards(tmp_path / "shelf", KEYS)
    operator.publish(a_board(a_row_of(7)))
    boards.look(lambda file, error: None)
    assert boards.told(HEADER, "")
    operator.publish(a_board(a_row_of(7), **changed))
    boards.look(lambda file, error: None)
    assert boards.told(HEADER, "") is None


def test_what_is_forged_or_shows_two_households_is_named_and_the_one_before_counts(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "shelf")
    boards = Boards(tmp_path / "shelf", KEYS)
    operator.publish(a_board(a_row_of(7)))
    operator.publish(a_board(a_row_of(8)), by=SigningKey.generate())
    two = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(a_board(a_row_of(8, households=2))))
    operator.boards.publish(two, Kind.BOARD, KEY, made_at=NOW)
    operator.boards.publish(b"w", Kind.WEIGHTS, KEY, made_at=NOW)
    told: list[str] = []
    boards.look(lambda file, error: told.append(str(error)))
    merged = boards.told(HEADER, "")
    assert merged
    assert [row.title for row in merged.trending] == [7]
    assert len(told) == 3
    assert all("allowed" in line for line in told)


def test_no_tv_is_ever_sent_a_board(store: ShardStore, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    operator = Operator(tmp_path / "shelf")
    operator.publish(a_board(a_row_of(7)))
    misplaced = operator.shelf.publish(a_board(a_row_of(8)).encode(), Kind.BOARD, KEY, made_at=NOW)

    async def play(shard: Shard) -> None:
        await operator.files.look(shard)
        pull = await pulled(shard)
        assert titles(pull) == [7]
        assert pull.artifacts == ()
        for file in operator.boards.folder.iterdir():
            assert operator.files.find(file.name) is None
        assert operator.files.current == []
        assert "board isn't for TVs" in caplog.text
        assert misplaced.kind is Kind.BOARD

    on_shard(store, play)


def test_what_a_board_with_noise_cost_comes_with_it(tmp_path: Path) -> None:
    account = Account(releases=3, released_at=NOW, epsilon_spent=0.34, epsilon_a_year=4.0, delta=1e-6, floor=270)
    operator = Operator(tmp_path / "shelf")
    operator.publish(a_board(a_row_of(7, 300), privacy=account))
    boards = Boards(tmp_path / "shelf", KEYS)
    boards.look(lambda *told: pytest.fail(str(told)))
    told = boards.told(HEADER, "", NOW)
    assert told
    assert told.privacy == account
    assert boards.told(HEADER, "", NOW + FRESH_S + 1) is None, "it goes with its board"
