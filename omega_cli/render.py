"""The only place that prints: rich on a terminal, plain text in a pipe, JSON where it is asked for."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from omega.core.types import FROM_OTHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from omega.core.model_folder import ModelCard
    from omega.core.types import Recommendation
    from omega.doctor.examine import Check
    from omega.fleet.load.counts import Percentiles
    from omega.fleet.report import Day, Step
    from omega.loadtests.running import Moment
    from omega_model_tools.evaluate import Bench

LOG_LEVELS = ("debug", "info", "warning", "error")
_PIPED_WIDTH = 10_000
"""So wide that no line is broken where no eye but a program reads it."""
_LINE_S = 5
"""Seconds of a load test between two lines in a pipe."""
_DAY_S = 0.04
"""How long a simulated day stays on the screen, so that the eye can follow."""


def line(text: str = "") -> None:
    """Print one line of plain text, at once."""
    print(text, flush=True)


def json(value: object) -> None:
    """Print a value as indented JSON; Structs, paths, enums and numbers of numpy included."""
    print(as_json(value).decode())


def as_json(value: object) -> bytes:
    """Return what `json` prints."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2)


def confirmed(question: str) -> bool:
    """Ask on the terminal; False where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    _stderr().print(f"{_escaped(question)} [dim](y/N)[/] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def json_line(value: object) -> None:
    """Print a value as JSON on one line, at once."""
    import msgspec

    print(msgspec.json.encode(value, enc_hook=_plain).decode(), flush=True)


def error(text: str) -> None:
    """Print an error on stderr."""
    _stderr().print(f"[bold red]error:[/] {_escaped(text)}", soft_wrap=True)


def warning(text: str) -> None:
    """Print a warning on stderr."""
    _stderr().print(f"[yellow]warning:[/] {_escaped(text)}", soft_wrap=True)


def note(text: str) -> None:
    """Print what is going on, on stderr."""
    _stderr().print(f"[dim]{_escaped(text)}[/]", soft_wrap=True)


def log_to_stderr(level: str = "info", *, as_json: bool = False) -> None:
    """Send what the library logs to stderr, from one of LOG_LEVELS on, a line each with its time, perhaps as JSON."""
    import logging

    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if as_json:
        from omega.core.log_lines import JsonLines

        for handler in logging.root.handlers:
            handler.setFormatter(JsonLines())


def rich(*parts: object) -> None:
    """Print rich renderables or markup on stdout."""
    console().print(*parts)


def console() -> Console:
    """Return a console on stdout: as wide as the terminal, as wide as needed in a pipe."""
    from rich.console import Console

    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> Table:
    """Return a table; columns whose name starts with > are right-aligned. No frame in a pipe."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD if console().is_terminal else None, pad_edge=False
    )
    for column in columns:
        made.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_escaped(str(cell)) for cell in row))
    return made


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a callback (done, total) that draws a bar with an ETA on stderr, nothing where that is no terminal."""
    with steps() as step:
        yield lambda done, total: step(done, total, what)


@contextmanager
def steps() -> Iterator[Callable[[int, int, str], None]]:
    """Give a callback (done, total, what) that draws one bar on stderr, nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=_stderr(), transient=True) as bars:

        def step(done: int, total: int, what: str) -> None:
            if not bars.tasks or bars.tasks[0].total != total:
                for task in bars.tasks:
                    bars.remove_task(task.id)
                bars.add_task(what, total=total)
            bars.update(bars.tasks[0].id, completed=done, description=what)

        yield step


def heading(text: str) -> None:
    """Print a heading after an empty line."""
    rich(f"\n[bold]{_escaped(text)}[/]")


@contextmanager
def timeline(*, quiet: bool) -> Iterator[tuple[Callable[[Day], None], Callable[[Step], None]]]:
    """Give two callbacks that draw a line for each household, filling up day by day, and one for what else is done.

    A line a week, and one for each thing done, where it's piped.
    """
    if quiet:
        yield lambda day: None, lambda step: None
        return
    if not sys.stdout.isatty():
        yield _print_week, _print_step
        return
    from rich.live import Live

    rows: dict[str, Sequence[str]] = {}
    with Live(console=console(), refresh_per_second=20) as live:

        def on_day(day: Day) -> None:
            rows[day.household] = _day_row(day)
            live.update(_timeline(rows.values()))
            time.sleep(_DAY_S)

        def on_step(step: Step) -> None:
            count = f"{step.done} of {step.total}" if step.last else ""
            rows[step.what] = (step.what, _filled(step.done, step.total), count, "", step.last)
            live.update(_timeline(rows.values()))

        yield on_day, on_step


def _print_week(day: Day) -> None:
    if day.day % 7 == 0:
        line(f"{day.household}: week {day.day // 7}, {day.events} events, {day.patterns} patterns")


def _print_step(step: Step) -> None:
    if step.last:
        line(f"{step.what}: {step.done} of {step.total}, {step.last}")
    elif not step.done:
        line(step.what)


def _day_row(day: Day) -> Sequence[str]:
    watching = day.watched[-1][:24] if day.watched else ""
    return day.household, _filled(day.day, day.days), f"day {day.day}", f"{day.events} events", watching


def _filled(done: int, total: int) -> str:
    return f"{'█' * (done * 12 // max(total, 1)):<12}"


def _timeline(rows: Iterable[Sequence[str]]) -> Table:
    return table(("household", "", "", ">", "watching"), rows)


@contextmanager
def moments(*, quiet: bool) -> Iterator[Callable[[Moment], None]]:
    """Give a callback that draws how a load test stands, again and again; a line now and then in a pipe."""
    if quiet or not sys.stdout.isatty():
        yield _nothing if quiet else _print_moment
        return
    from rich.live import Live

    with Live(console=console(), auto_refresh=False, transient=True) as live:
        yield lambda moment: live.update(_moment(moment), refresh=True)


def _nothing(_: object) -> None:
    pass


def _print_moment(moment: Moment) -> None:
    if round(moment.passed_s) % _LINE_S == 0:
        line("  ".join(f"{name} {value}" for name, value in _moment_cells(moment)))


def _moment(moment: Moment) -> Table:
    return table(("load test", ">"), _moment_cells(moment))


def _moment_cells(moment: Moment) -> Sequence[tuple[str, str]]:
    totals = moment.totals

    def ms(found: Percentiles) -> str:
        return "/".join(f"{value:.0f}" for value in (found.p50, found.p90, found.p99, found.p999, found.max))

    counts = ("due", "sent", "ok", "refused", "failed", "late")
    shard_cpu = "-" if moment.shard_cpu is None else f"{moment.shard_cpu:.2f}"
    return (
        ("second", f"{min(moment.passed_s, moment.duration_s):.0f} of {moment.duration_s:.0f}"),
        *((name, f"{getattr(totals, name):,}") for name in counts),
        ("in flight, waiting", f"{moment.in_flight:,}, {moment.waiting:,}"),
        ("ms from due, p50/90/99/99.9/max", ms(moment.latency_ms)),
        ("ms from send", ms(moment.service_ms)),
        ("up, down", f"{size(totals.bytes_up)}, {size(totals.bytes_down)}"),
        ("cores of generator, shard", f"{moment.generator_cpu:.2f}, {shard_cpu}"),
        *((("generator", "saturated: the run is void"),) if moment.saturated else ()),
    )


def recommendations(
    titles: Sequence[Recommendation], heading: str | None = None, marks: Mapping[str, str] | None = None
) -> Table:
    """Return a list of titles, each with the two heaviest reasons that speak for it.

    `marks` are words behind some titles, by content id, that the others lifted: what the others watch is named first.
    """
    made = table((">", heading or "title", ">score", "because"), ())
    for place, title in enumerate(titles, 1):
        mark = (marks or {}).get(title.content_id)
        reasons = [reason for reason in title.reasons if reason.weight >= 0]
        if mark:
            reasons.sort(key=lambda reason: reason.kind not in FROM_OTHERS)
        made.add_row(
            str(place),
            f"[bold]{_escaped(title.title)}[/] [dim]{title.kind}, {title.year}[/]{f' [yellow]{mark}[/]' * bool(mark)}",
            f"[green]{title.score:+.2f}[/]",
            "[cyan]" + _escaped("; ".join([r.text for r in reasons][:2])) + "[/]",
        )
    return made


def model(card: ModelCard, folder: Path, *, as_json: bool) -> None:
    """Print what a model folder holds."""
    if as_json:
        import msgspec

        json({"folder": folder, **msgspec.to_builtins(card)})
        return
    total = sum(file.size_bytes for file in card.files.values())
    line(f"{folder}: {card.name}, {size(total)}, space {card.space}")
    if card.cosine:
        line(f"cosine to fp32 {card.cosine.mean:.4f}, p1 {card.cosine.p1:.3f}, least {card.cosine.min:.3f}")


def bench(report: Bench) -> Table:
    """Return one model's measurements."""
    rows: list[tuple[str, str]] = [("size", size(report.size_bytes)), ("load", f"{report.load_ms:.0f} ms")]
    rows += [("memory of a fresh process, peak", f"{report.rss_mb:.0f} MB, {report.peak_rss_mb:.0f} MB")]
    if report.cosine and report.agreement:
        cosine, agreement = report.cosine, report.agreement
        rows.append(("cosine to fp32: mean, p1, least", f"{cosine.mean:.4f}, {cosine.p1:.3f}, {cosine.min:.3f}"))
        rows.append(("top 10 in common: own index", f"{agreement.own_index:.2f}"))
        rows.append(("top 10 in common: fp32 index", f"{agreement.fp32_index:.2f}"))
    for found in report.latency:
        name = f"{found.tokens} tokens, {found.threads} thread{'s' * (found.threads > 1)}: p50, p99"
        rows.append((name, f"{found.p50_ms:.2f} ms, {found.p99_ms:.2f} ms"))
    return table((report.name, ">"), rows, title=f"space {report.space}")


def checks(found: Sequence[Check]) -> Table:
    """Return what a doctor found, a line each, and below it what to do."""
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
    made = table(("", "check", "found", ">ms"), ())
    for check in found:
        outcome = f"[{styles[check.outcome]}]{check.outcome}[/]"
        made.add_row(outcome, check.name, _escaped(check.found), f"{check.ms:.1f}")
        if check.advice:
            made.add_row("", "[bold]do[/]", f"[bold]{_escaped(check.advice)}[/]", "")
    return made


def moment(unix_s: int, zone: tzinfo | None) -> str:
    """Return the time in a zone, None for the machine's, for people: Sat 2026-11-21 20:30."""
    return datetime.fromtimestamp(unix_s, UTC).astimezone(zone).strftime("%a %Y-%m-%d %H:%M")


def counted(number: int, what: str) -> str:
    """Return a number of things, one or several."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def size(size_bytes: float) -> str:
    """Return a size for people: 17.1 MB."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes:.0f} B"


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _plain(value: object) -> object:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)
