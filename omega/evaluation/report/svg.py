"""Marks of a plot as SVG text, and scales from numbers to places. Colors are classes, which the page's style knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps low..high to start..end, by logarithm if asked."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        low, high, at = map(math.log, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.start + (at - low) / ((high - low) or 1) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about so many round values in the scale: 1, 2 or 5 times a power of ten; powers by logarithm."""
        if self.log:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            return [10.0**power for power in powers]
        raw = (self.high - self.low) / count or 1.0
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(times * power for times in (1, 2, 5, 10) if times * power >= raw * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(at * step, 12) for at in range(first, last + 1)]


def drawing(width: int, height: int, label: str, marks: Iterable[str]) -> str:
    """Return a picture with a label for who can't see it."""
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{"".join(marks)}</svg>'


def text(x: float, y: float, words: str, *, anchor: str = "start", style: str = "") -> str:
    """Return words at a place, from their baseline's start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{_class(style)}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """Return a straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{_class(style)}/>'


def bar(x: float, y: float, width: float, height: float, style: str, told: str = "") -> str:
    """Return a filled box, with words that show under a pointer."""
    box = f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="2"'
    return f"{box}{_class(style)}>{_told(told)}</rect>"


def dot(x: float, y: float, radius: float, style: str, told: str = "") -> str:
    """Return a filled circle, with words that show under a pointer."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"{_class(style)}>{_told(told)}</circle>'


def path(points: Iterable[tuple[float, float]], style: str, told: str = "") -> str:
    """Return a line through points."""
    way = " ".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(points))
    return f'<path d="{way}"{_class(style)}>{_told(told)}</path>'


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _told(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
