"""A load test as one HTML page: verdict, latency over time, percentiles, throughput, errors by reason."""

from __future__ import annotations

from html import escape
from math import log10
from typing import TYPE_CHECKING

from omega.core.errors import InputError
from omega.core.files import write_atomically
from omega.evaluation.report.page import document
from omega.evaluation.report.svg import Scale, bar, drawing, line, path, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from omega.fleet.load.counts import Percentiles
    from omega.loadtests.asked import Result

    Curve = Sequence[tuple[float, float]]

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 64, 90, 16, 220
_LEAST_MS = 0.1
_MOST_NINES = 5.0
_ROW = 24
_WORDS = {
    "passed": "It keeps what is promised.",
    "failed": "It doesn't keep what is promised.",
    "void": "The run is void: the generator was saturated, and says nothing of the shard.",
}


def save(result: Result, file: Path) -> None:
    """Write the page. Raises InputError when it can't be written."""
    try:
        write_atomically(file, page(result).encode())
    except OSError as error:
        raise InputError(f"{file} can't be written ({error.strerror}): name another file") from error


def page(result: Result) -> str:
    """Return the page as HTML that loads nothing."""
    columns, rows = cells(result)
    head = "".join(f"<th>{escape(column.lstrip('>'))}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    parts = [
        f"<h1>{escape(result.scenario)}: {result.devices:,} TVs sync with a shard</h1>",
        f'<p class="soft">{escape(_asked(result))}</p>',
        f"<p>{escape(sentence(result))}</p>",
        *(f"<p>{escape(note)}</p>" for note in result.notes),
        "<h2>Latency over time</h2>",
        '<p class="soft">From when a sync was due, second by second; the dashed line is what is promised.</p>',
        _latency(result),
        "<h2>Percentiles</h2>",
        '<p class="soft">From the due time, and from when the question left.</p>',
        _percentiles(result),
        "<h2>Throughput</h2>",
        _throughput(result),
        "<h2>Errors by reason</h2>",
        _reasons(result),
        "<h2>What must hold</h2>",
        _table("<th>threshold</th><th>found</th><th>allowed</th><th></th>", _checks(result)),
        "<h2>All figures</h2>",
        _table(head, body),
    ]
    return document("omega loadtest", parts)


def sentence(result: Result) -> str:
    """Return the verdict in a sentence."""
    broken = [check.name for check in result.checks if not check.held]
    told = f" Broken: {', '.join(broken)}." if broken else ""
    return (
        f"{result.verdict}: {_WORDS[result.verdict]} Of {result.due:,} syncs that were due {result.ok:,} are "
        f"acknowledged, p99 {result.latency_ms.p99:.1f} ms from due.{told}"
    )


def cells(result: Result) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Return the columns and rows of all figures as they are shown."""
    rows = [
        ("due, sent, acknowledged", f"{result.due:,}, {result.sent:,}, {result.ok:,}"),
        ("refused, failed", f"{result.refused:,}, {result.failed:,}"),
        (f"left more than {result.late_ms:.0f} ms late", f"{result.late:,}"),
        ("acknowledged a second", f"{result.rate_per_s:,.1f}"),
        ("p50, p90, p99, p99.9, max from due, ms", _ms(result.latency_ms)),
        ("the same from send", _ms(result.service_ms)),
        ("generator's lag", _ms(result.lag_ms)),
        ("bytes up, down", f"{result.bytes_up:,}, {result.bytes_down:,}"),
        ("cores of generator, shard, Postgres", _cores(result)),
        ("most memory of the shard, MiB", _mib(result.shard_memory_bytes)),
        ("rows acknowledged, stored", f"{result.acknowledged_rows:,}, {_known(result.stored_rows)}"),
        ("acknowledged TVs whose row is behind", _known(result.behind)),
        ("answers by generator, by shard", f"{result.answered:,}, {_known(result.shard_answered)}"),
        ("connections", ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in result.connections.items())),
        ("found none free", f"{result.queued:,}"),
        ("generator's bytes a TV", f"{result.bytes_per_device:.1f}"),
    ]
    return ("what", ">measured"), rows


def _asked(result: Result) -> str:
    return (
        f"Each every {result.interval_s:g} s, {result.devices / result.interval_s:,.1f} a second in the mean, for "
        f"{result.duration_s:g} s, over {result.transport}, on {result.store}; seed {result.seed}."
    )


def _ms(found: Percentiles) -> str:
    return ", ".join(f"{value:.1f}" for value in (found.p50, found.p90, found.p99, found.p999, found.max))


def _cores(result: Result) -> str:
    values = (result.generator_cpu, result.shard_cpu, result.store_cpu)
    return ", ".join("-" if value is None else f"{value:.2f}" for value in values)


def _mib(value: int | None) -> str:
    return "-" if value is None else f"{value / 2**20:,.1f}"


def _known(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _checks(result: Result) -> str:
    return "".join(
        f"<tr><td>{escape(check.name)}</td><td>{check.found:,.6g}</td><td>{check.allowed:,.6g}</td>"
        f"<td>{'held' if check.held else 'broken'}</td></tr>"
        for check in result.checks
    )


def _table(head: str, rows: str) -> str:
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _latency(result: Result) -> str:
    points = [second for second in result.seconds if second.ok]
    curves = {
        "p99": ("base", [(second.second + 1.0, second.p99_ms) for second in points]),
        "p50": ("own", [(second.second + 1.0, second.p50_ms) for second in points]),
    }
    return _plot(result, curves, "latency over time, ms", result.thresholds.p99_ms)


def _throughput(result: Result) -> str:
    def over_time(name: str) -> Curve:
        return [(second.second + 1.0, float(getattr(second, name))) for second in result.seconds]

    curves = {"due": ("other", over_time("due")), "acknowledged": ("own", over_time("ok"))}
    return _plot(result, curves, "syncs a second", None)


def _plot(result: Result, curves: Mapping[str, tuple[str, Curve]], label: str, promised: float | None) -> str:
    """Return lines over the seconds of a run."""
    highest = max((value for _, curve in curves.values() for _, value in curve), default=1.0)
    across = Scale(0, max(len(result.seconds), 1), _LEFT, _WIDTH - _RIGHT)
    upwards = Scale(0, max(highest, promised or 0) * 1.08 or 1, _BOTTOM, _TOP)
    marks = _grid(across, upwards, "s")
    if promised is not None:
        marks.append(line(_LEFT, upwards(promised), _WIDTH - _RIGHT, upwards(promised), "mark"))
    for place, (name, (style, curve)) in enumerate(curves.items()):
        marks.append(path([(across(x), upwards(y)) for x, y in curve], f"line {style}", name))
        marks += _key(place, name, style)
    return drawing(_WIDTH, _BOTTOM + 34, label, marks)


def _percentiles(result: Result) -> str:
    """Return milliseconds, by logarithm, over nines: 1 is 90 %, 2 is 99 %."""
    styles = {"latency": ("from due", "base"), "service": ("from send", "own")}
    values = [max(ms, _LEAST_MS) for curve in result.curves.values() for _, ms in curve] or [_LEAST_MS]
    across = Scale(0, _MOST_NINES, _LEFT, _WIDTH - _RIGHT)
    upwards = Scale(min(values) / 1.2, max(values) * 1.2, _BOTTOM, _TOP, log=True)
    marks = _grid(across, upwards, "", {0: "0 %", 1: "90 %", 2: "99 %", 3: "99.9 %", 4: "99.99 %"})
    for place, (name, curve) in enumerate(result.curves.items()):
        words, style = styles[name]
        points = [(across(_nines(share)), upwards(max(ms, _LEAST_MS))) for share, ms in curve]
        marks.append(path(points, f"line {style}", words))
        marks += _key(place, words, style)
    return drawing(_WIDTH, _BOTTOM + 34, "latency by percentile, ms", marks)


def _nines(share: float) -> float:
    return min(-log10(max(1 - share / 100, 10**-_MOST_NINES)), _MOST_NINES)


def _grid(across: Scale, upwards: Scale, unit: str, names: dict[int, str] | None = None) -> list[str]:
    ticks = (
        {float(at): words for at, words in names.items()} if names else {at: f"{at:g} {unit}" for at in across.ticks()}
    )
    marks = [line(_LEFT, upwards(tick), _WIDTH - _RIGHT, upwards(tick), "grid") for tick in upwards.ticks()]
    marks += [text(_LEFT - 8, upwards(tick) + 4, f"{tick:g}", anchor="end", style="axis") for tick in upwards.ticks()]
    marks += [text(across(at), _BOTTOM + 18, words, anchor="middle", style="axis") for at, words in ticks.items()]
    return marks


def _key(place: int, name: str, style: str) -> list[str]:
    y = _TOP + 12 + 18 * place
    left = _WIDTH - _RIGHT + 8
    return [line(left, y - 4, left + 14, y - 4, f"line {style}"), text(left + 18, y, name)]


def _reasons(result: Result) -> str:
    if not result.reasons:
        return '<p class="soft">None.</p>'
    scale = Scale(0, max(result.reasons.values()), 0, 260)
    marks = []
    for place, (reason, count) in enumerate(result.reasons.items()):
        y = _ROW * place + 4
        marks += [text(350, y + 13, reason[:60], anchor="end"), bar(360, y, scale(count), 16, "loss", reason)]
        marks.append(text(366 + scale(count), y + 13, f"{count:,}", style="axis"))
    return drawing(_WIDTH, _ROW * len(result.reasons) + 8, "errors by reason", marks)
