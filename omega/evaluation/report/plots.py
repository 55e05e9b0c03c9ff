"""The four plots of a report: bars with intervals, coverage against NDCG, who gains, and how it went over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.evaluation.report.svg import Scale, bar, dot, drawing, line, path, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omega.evaluation.results import Figures, Result

WIDTH = 720
_ROW = 24
_LEAST_COVERAGE = 1e-4
_NAMED_FIRST = ("own", "broad", "base", "other", "part")
"""Whose names find a place first where points crowd."""


def style_of(name: str, result: Result) -> str:
    """Return how a method is drawn: as the baseline, one of ours, a part of ours, or another baseline."""
    if name == result.best_popularity.hindsight:
        return "base"
    if name.startswith(("formula-no-", "omega-no-")):
        return "part"
    if name.startswith(("formula", "omega")):
        return "broad" if "14+6" in name else "own"
    return "other"


def gains(result: Result) -> str:
    """Return a bar for each method's NDCG with the interval of its gain, best first."""
    rows = sorted(result.methods, key=lambda figures: -figures.ndcg)
    base = result.method(result.best_popularity.hindsight).ndcg
    highest = max(base * (1 + figures.vs_best_popularity.high) for figures in rows)
    scale = Scale(0, max(highest, 1e-9), 170, 520)
    height = _ROW * len(rows) + 34
    marks = [line(scale(tick), 8, scale(tick), height - 24, "grid") for tick in scale.ticks()]
    marks += [text(scale(tick), height - 8, f"{tick:g}", anchor="middle", style="axis") for tick in scale.ticks()]
    for place, figures in enumerate(rows):
        middle = 8 + _ROW * place + _ROW / 2
        gain, style = figures.vs_best_popularity, style_of(figures.name, result)
        low, high = (base * (1 + end) for end in (gain.low, gain.high))
        marks.append(text(162, middle + 4, figures.name, anchor="end"))
        marks.append(bar(scale(0), middle - 8, scale(figures.ndcg) - scale(0), 16, style, f"NDCG {figures.ndcg:.4f}"))
        marks.append(line(scale(low), middle, scale(high), middle, "whisker"))
        marks += [line(scale(end), middle - 4, scale(end), middle + 4, "whisker") for end in (low, high)]
        marks.append(text(532, middle + 4, _gain(figures, result), style="axis"))
    marks.append(line(scale(base), 8, scale(base), height - 24, "mark"))
    return drawing(WIDTH, height, "NDCG of each method", marks)


def _gain(figures: Figures, result: Result) -> str:
    if figures.name == result.best_popularity.hindsight:
        return f"{figures.ndcg:.4f}  best popularity"
    gain = figures.vs_best_popularity
    return f"{figures.ndcg:.4f}  {gain.mean:+.1%}  [{gain.low:+.1%}, {gain.high:+.1%}]"


def breadth(result: Result) -> str:
    """Return each method's NDCG over the share of the catalog that it shows, by logarithm."""
    rows = [figures for figures in result.methods if figures.coverage > 0]
    lowest = max(min((figures.coverage for figures in rows), default=1), _LEAST_COVERAGE)
    across = Scale(lowest / 1.6, 1.3, 56, WIDTH - 20, log=True)
    upwards = Scale(0, max((figures.ndcg for figures in rows), default=1) * 1.12, 300, 14)
    marks = [line(56, upwards(tick), WIDTH - 20, upwards(tick), "grid") for tick in upwards.ticks()]
    marks += [text(48, upwards(tick) + 4, f"{tick:g}", anchor="end", style="axis") for tick in upwards.ticks()]
    marks += [line(across(tick), 14, across(tick), 300, "grid") for tick in across.ticks()]
    marks += [text(across(tick), 318, f"{tick:.4g}", anchor="middle", style="axis") for tick in across.ticks()]
    marks.append(text(WIDTH - 20, 336, "coverage, share of the catalog shown to anyone", anchor="end", style="axis"))
    marks.append(text(56, 10, "NDCG", style="axis"))
    for figures in rows:
        told = f"{figures.name}: NDCG {figures.ndcg:.4f}, coverage {figures.coverage:.1%}, cov5 {figures.cov5:.1%}"
        style = style_of(figures.name, result)
        marks.append(dot(across(figures.coverage), upwards(figures.ndcg), 5, style, told))
    rows.sort(key=lambda figures: (_NAMED_FIRST.index(style_of(figures.name, result)), -figures.ndcg))
    marks += _labels([(across(figures.coverage), upwards(figures.ndcg), figures.name) for figures in rows])
    return drawing(WIDTH, 342, "NDCG over coverage", marks)


def _labels(points: Sequence[tuple[float, float, str]]) -> Iterator[str]:
    """Give a name beside each point, where none stands yet; who finds no place keeps his name under the pointer."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y, _ in points]
    for x, y, name in points:
        width = 6.6 * len(name)
        for left, baseline in (
            (x + 9, y + 4),
            (x - 9 - width, y + 4),
            (x - width / 2, y - 10),
            (x - width / 2, y + 19),
        ):
            box = (left, baseline - 10, left + width, baseline + 2)
            inside = left > 56 and left + width < WIDTH and baseline > 12
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                yield text(left, baseline, name)
                break


def _overlap(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def lifts(result: Result, figures: Figures) -> str:
    """Return how many viewers gain and lose how much NDCG, by their mean against the best popularity."""
    counts, edges = figures.lift_histogram, result.lift_edges
    total = max(sum(counts), 1)
    slot = (WIDTH - 40) / len(counts)
    upwards = Scale(0, max(counts) / total * 1.15 or 1, 150, 16)
    marks = [line(20, 150, WIDTH - 20, 150, "axis-line")]
    for place, count in enumerate(counts):
        low, high = edges[place], edges[place + 1]
        style = "loss" if high <= 0 else "own" if low >= 0 else "same"
        x, y = 20 + slot * place, upwards(count / total)
        told = f"{low:+g} to {high:+g}: {count} viewers"
        marks.append(bar(x + 2, y, slot - 4, 150 - y, style, told))
        marks.append(text(x + slot / 2, y - 4, f"{count / total:.0%}", anchor="middle", style="axis"))
        if place:
            marks.append(text(x, 166, f"{low:+g}", anchor="middle", style="axis"))
    marks.append(text(20, 12, f"{figures.name}, share of viewers", style=""))
    return drawing(WIDTH, 174, f"gains and losses of viewers with {figures.name}", marks)


def over_time(result: Result, methods: Sequence[Figures]) -> str:
    """Return the NDCG of some methods at each step."""
    last = max(len(result.days) - 1, 1)
    across = Scale(0, last, 56, WIDTH - 150)
    highest = max((max(figures.ndcg_by_step, default=0) for figures in methods), default=1)
    upwards = Scale(0, highest * 1.08 or 1, 240, 14)
    marks = [line(56, upwards(tick), WIDTH - 150, upwards(tick), "grid") for tick in upwards.ticks()]
    marks += [text(48, upwards(tick) + 4, f"{tick:g}", anchor="end", style="axis") for tick in upwards.ticks()]
    for at in sorted({round(last * part / 5) for part in range(6)} & set(range(len(result.days)))):
        marks.append(text(across(at), 258, result.days[at][:10], anchor="middle", style="axis"))
    ends: list[float] = []
    for figures in methods:
        points = [(across(at), upwards(value)) for at, value in enumerate(figures.ndcg_by_step)]
        marks.append(path(points, f"line {style_of(figures.name, result)}", figures.name))
        if points:
            y = _free(points[-1][1], ends)
            ends.append(y)
            marks.append(line(WIDTH - 146, y - 4, WIDTH - 132, y - 4, f"line {style_of(figures.name, result)}"))
            marks.append(text(WIDTH - 128, y, figures.name))
    return drawing(WIDTH, 266, "NDCG over time", marks)


def _free(y: float, taken: Sequence[float]) -> float:
    while any(abs(y - other) < 15 for other in taken):
        y += 3
    return y
