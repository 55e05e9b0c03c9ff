"""From what shards say together to the board that they tell, and the basis that it is told in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.audience import Basis, BoardRow, Section, decode_basis
from omega.federation.audience import codes_of, fitted
from omega.federation.merging import KEYS
from omega.federation.rates import RATE, age_shares, genre_shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omega.core.catalog import Catalog
    from omega.core.ports import Doubles, Integers
    from omega.core.shard_records import Figures, Shown
    from omega.federation.merging import Merged
    from omega.federation.showing import Showing

MOST_ROWS = 400
"""Of a region: a pull tells 200, and an epoch that lacks the newest titles has 200 others."""
FITTED_ROWS = 200
"""So many of the trendiest give the basis its directions."""
MOST_HIDDEN = 1_000


class Codes(NamedTuple):
    """What is known of audiences in one round."""

    basis: Basis | None
    merged: Merged
    before: Mapping[int, tuple[Figures, bytes]]
    """Figures and codes of the last board, if its codes are of the same basis."""

    def of(self, rows: list[Shown]) -> list[bytes]:
        """Return the rows' audience codes; one changes only when its row's shown figures do."""
        if self.basis is None:
            return [b""] * len(rows)
        fresh = codes_of(heard_of(self.merged, np.asarray([row.title for row in rows], np.int64)), self.basis)
        return [self._steady(row, code) for row, code in zip(rows, fresh, strict=True)]

    def _steady(self, row: Shown, code: bytes) -> bytes:
        figures, known = self.before.get(row.title, (None, b""))
        return known if figures == row.figures else code


def section(shown: Showing, codes: Codes, rising: Integers) -> Section:
    """Return a region's part of the board."""
    rows = shown.trending(MOST_ROWS)
    rose = set(rising.tolist())
    told = [
        BoardRow(row.title, row.slot, row.figures, code, row.title in rose)
        for row, code in zip(rows, codes.of(rows), strict=True)
    ]
    return Section(tuple(told), shown.hidden(MOST_HIDDEN))


def new_basis(
    merged: Merged, moments: Doubles, shown: Showing, catalog: Catalog, *, version: int, space: int, now: float
) -> Basis | None:
    """Return a basis for what is watched now, as TVs will read it; None as long as no taste code has come."""
    if merged.heard[:, 0].sum() <= 0:
        return None
    trending = np.asarray([row.title for row in shown.trending(FITTED_ROWS)], np.int64)
    found = fitted(merged.heard, moments, heard_of(merged, trending))
    titles, weights = merged.keys[merged.whole] // KEYS, merged.trends[merged.whole, RATE]
    basis = Basis(
        version=version,
        space=space,
        mean=tuple(found.mean.tolist()),
        projection=tuple(tuple(row) for row in found.projection.tolist()),
        scale=tuple(found.scale.tolist()),
        genre_shares=genre_shares(catalog, titles, weights),
        age_shares=age_shares(catalog, titles, weights, datetime.fromtimestamp(now, UTC).year),
    )
    return decode_basis(basis.encode())


def heard_of(merged: Merged, titles: Integers) -> Doubles:
    """Return (n, 1 + TASTE_NUMBERS): the audiences of titles, zeros where none was heard."""
    found = np.zeros((len(titles), merged.heard.shape[1]))
    if len(merged.heard_titles):
        place = np.minimum(np.searchsorted(merged.heard_titles, titles), len(merged.heard_titles) - 1)
        known = merged.heard_titles[place] == titles
        found[known] = merged.heard[place[known]]
    return found
