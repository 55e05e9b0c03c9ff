"""The merge a second time, in plain Python: a dictionary, and one row after the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omega.core.shard_sums import ShardSums

    Rows: TypeAlias = dict[tuple[int, int], list[float]]
    Heard: TypeAlias = dict[int, list[float]]

_HALF_LIVES = (1, 2, 7, 30)


def added_up(shards: Iterable[ShardSums], day: int) -> tuple[Rows, Heard]:
    """Return samples, success, households and trends by title and context, and audiences by title, as of a day."""
    rows: Rows = {}
    heard: Heard = {}
    for shard in shards:
        columns, age = shard.columns, day - shard.facts.day
        for at in range(len(columns.title)):
            sums = rows.setdefault((columns.title[at], columns.slot[at]), [0.0] * 7)
            row = [columns.samples[at], columns.success_milli[at], columns.households[at]]
            row += [columns.trends[4 * at + h] * 0.5 ** (age / days) for h, days in enumerate(_HALF_LIVES)]
            for place, number in enumerate(row):
                sums[place] += number
        for at, title in enumerate(columns.audience_title):
            codes = heard.setdefault(title, [0.0] * 45)
            count, *numbers = columns.audience[45 * at : 45 * at + 45]
            possible = [count, *(max(min(number, 7 * count), -8 * count) for number in numbers)]
            for place, told in enumerate(possible):
                codes[place] += told * 0.5 ** (age / 20)
    return rows, heard


def products(codes: Iterable[Sequence[Sequence[int]]], ages: Iterable[int]) -> list[list[float]]:
    """Return the sum of e e' over all shards' taste codes, e a 1 and the code's numbers, aged by each shard's days."""
    found = [[0.0] * 45 for _ in range(45)]
    for told, age in zip(codes, ages, strict=True):
        for code in told:
            one = [1, *code]
            for mine, row in zip(one, found, strict=True):
                for place, other in enumerate(one):
                    row[place] += mine * other * 0.5 ** (age / 20)
    return found


def error(merged: Any, rows: Rows, heard: Heard) -> float:
    """Return the largest relative difference of a merge; infinite where it has other rows."""
    keys = [(key // 16, key % 16) for key in merged.keys.tolist()]
    if keys != sorted(rows) or merged.heard_titles.tolist() != sorted(heard):
        return math.inf
    columns = zip(merged.samples, merged.success_milli, merged.households, *merged.trends.T, strict=True)
    pairs = [
        (float(mine), theirs)
        for key, told in zip(keys, columns, strict=True)
        for mine, theirs in zip(told, rows[key], strict=True)
    ]
    titles = zip(sorted(heard), merged.heard.tolist(), strict=True)
    pairs += [(mine, theirs) for title, told in titles for mine, theirs in zip(told, heard[title], strict=True)]
    return max(abs(mine - theirs) / max(abs(theirs), 1.0) for mine, theirs in pairs)


def trendiest(rows: Rows, most: int) -> dict[int, tuple[int, int]]:
    """Return samples and households of the trendiest titles that three households support."""
    shown = [(title, sums) for (title, slot), sums in rows.items() if slot == 8 and sums[2] >= 3]
    best = sorted(shown, key=lambda row: (-row[1][3], row[0]))[:most]
    return {title: (int(sums[0]), int(sums[2])) for title, sums in best}
