"""The page around the plots: what was asked, the verdict in a sentence, plots, table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from omega.evaluation.report import plots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.evaluation.results import Figures, Result

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6470;--back:#fff;--grid:#e4e7eb;--own:#1f6fd0;--broad:#0f8a7a;
--part:#9dbfe8;--base:#c05a00;--other:#b4bbc4;--loss:#c0392b;--same:#b4bbc4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b1;--back:#14171b;--grid:#2a3038;--own:#5aa2f5;
--broad:#3fc4b1;--part:#2f5482;--base:#f0943e;--other:#58616d;--loss:#ef6b5c;--same:#58616d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:780px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin:2.2rem 0 .3rem}p{margin:.3rem 0}
.soft{color:var(--soft)}svg{width:100%;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg text.axis{fill:var(--soft);font-size:11px}
.grid{stroke:var(--grid)}.axis-line,.whisker{stroke:var(--ink)}.mark{stroke:var(--base);stroke-dasharray:3 3}
.own{fill:var(--own)}.broad{fill:var(--broad)}.part{fill:var(--part)}.base{fill:var(--base)}
.other{fill:var(--other)}.loss{fill:var(--loss)}.same{fill:var(--same)}
.line{fill:none;stroke-width:2}.line.own{stroke:var(--own)}.line.broad{stroke:var(--broad)}
.line.base{stroke:var(--base)}.line.other{stroke:var(--other)}.line.part{stroke:var(--part)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px;width:100%}
th,td{padding:.25rem .5rem;text-align:right;border-bottom:1px solid var(--grid)}
th:first-child,td:first-child{text-align:left}
"""
_STEPS = {"daily": "days", "weekly": "weeks", "onboard": "days"}
_COLUMNS = ("method", "NDCG", "recall", "MRR", "coverage", "cov5", "exp(entropy)", "novelty", "cold", "gain", "95 %")


def page(result: Result) -> str:
    """Return the report as HTML that loads nothing."""
    told = _told(result)
    sure = f"95 % intervals of the gain, {_STEPS[result.protocol]} drawn anew"
    parts = [
        "<h1>How well recommendations meet what is watched</h1>",
        f'<p class="soft">{escape(_asked(result))}</p>',
        f"<p>{escape(_verdict(result))}</p>",
        f"<h2>NDCG@{result.k}, and the gain over the best decayed popularity</h2>",
        f'<p class="soft">The dashed line is the popularity that is best in hindsight; whiskers are {sure}.</p>',
        plots.gains(result),
        "<h2>Breadth against precision</h2>",
        plots.breadth(result),
        "<h2>Who gains and who loses</h2>",
        '<p class="soft">A viewer\'s mean NDCG less what the best popularity reaches for the same viewer.</p>',
        *(plots.lifts(result, figures) for figures in told),
        "<h2>Over time</h2>",
        plots.over_time(result, [result.method(result.best_popularity.hindsight), *told]),
        "<h2>All figures</h2>",
        _table(result),
        *(f'<p class="soft">{escape(line)}</p>' for line in notes(result)),
    ]
    return document("omega eval", parts)


def document(title: str, parts: Sequence[str]) -> str:
    """Return a whole page of these parts, with the style that plots are drawn in."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n{chr(10).join(parts)}\n</body></html>\n"
    )


def _told(result: Result) -> list[Figures]:
    """Return the methods that plots of single methods are about: ours and its broad list, or else the best there is."""
    own = [figures for figures in result.methods if plots.style_of(figures.name, result) in ("own", "broad")]
    others = [figures for figures in result.methods if figures.name != result.best_popularity.hindsight]
    return own[:4] or [max(others, key=lambda figures: figures.ndcg)]


def _asked(result: Result) -> str:
    return (
        f"{result.events:,} events of {result.titles:,} titles; {result.protocol}: {result.viewers:,} lists of "
        f"{result.k} at {result.steps} {_STEPS[result.protocol]} from {result.score_from} on, each from what came "
        f"before it."
    )


def _verdict(result: Result) -> str:
    best = max(_told(result), key=lambda figures: figures.ndcg)
    gain, base = best.vs_best_popularity, result.method(result.best_popularity.hindsight)
    sure = "which is more than chance" if gain.low > 0 else "which may be chance" if gain.high > 0 else "which is less"
    return (
        f"{best.name} reaches an NDCG of {best.ndcg:.4f}, {base.name} {base.ndcg:.4f}: {gain.mean:+.1%} "
        f"[{gain.low:+.1%}, {gain.high:+.1%}], {sure}, with {best.coverage / max(base.coverage, 1e-9):.1f} times the "
        f"coverage."
    )


def _table(result: Result) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in _COLUMNS)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells(row))}</tr>" for row in result.methods)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def cells(figures: Figures) -> tuple[str, ...]:
    """Return a method's row as it is shown."""
    gain = figures.vs_best_popularity
    return (
        figures.name,
        f"{figures.ndcg:.4f}",
        f"{figures.recall:.3f}",
        f"{figures.mrr:.3f}",
        f"{figures.coverage:.3f}",
        f"{figures.cov5:.3f}",
        f"{figures.entropy:.0f}",
        f"{figures.novelty:.1f}",
        f"{figures.cold_share:.1%}",
        f"{gain.mean:+.1%}",
        f"{gain.low:+.1%} .. {gain.high:+.1%}",
    )


def notes(result: Result) -> list[str]:
    """Return what else is to be said, a line each."""
    best = result.best_popularity
    found = [f"Best popularity before {result.score_from}: {best.before}; in hindsight: {best.hindsight}."]
    if result.weights:
        found.append("Weights: " + ", ".join(f"{name} {value:.3f}" for name, value in result.weights.items()) + ".")
    if result.fit:
        without = ", ".join(f"{term} +{loss - result.fit.loss:.4f}" for term, loss in result.fit.loss_without.items())
        found.append(f"Fitted on {result.fit.lists:,} lists, loss {result.fit.loss:.4f} nats; without {without}.")
    if result.loop_weights:
        weights = ", ".join(f"{name} {value:.3f}" for name, value in result.loop_weights.items())
        found.append(f"Weights of omega: {weights}.")
    if sizes := result.loop_sizes:
        told = f"{sizes.syncs:,} syncs of {sizes.tvs:,} TVs in {sizes.weeks:.1f} weeks"
        found.append(f"omega: {told}, {sizes.bytes_per_tv_week:,.0f} bytes a TV and week, both ways.")
    if result.audit:
        leaks = "; ".join(result.audit.leaks) or "nothing changed"
        found.append(f"Leak audit at {result.audit.after}, {result.audit.steps} steps: {leaks}.")
    return [*found, *(f"Left out: {line}" for line in result.left_out), *(f"Note: {line}." for line in result.notes)]
