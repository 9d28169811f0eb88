"""Makes tables and a picture of what the runs have measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """The one figure by which systems are compared in a workload.

    Attributes:
        workload: W1 to W7.
        key: its name in a line.
        title: for people.
        low: whether less is better.
    """

    workload: str
    key: str
    title: str
    low: bool = False


FIGURES = (
    Figure("W1", "p50_ms", "one workflow alone, ms (p50)", low=True),
    Figure("W2", "wf_per_s", "workflows/s, 200 in flight"),
    Figure("W3", "act_per_s", "activities/s, in sequences"),
    Figure("W4", "act_per_s", "activities/s, fanned out"),
    Figure("W5", "act_per_s", "steps/s of one long workflow"),
    Figure("W6", "sig_per_s", "signals/s"),
    Figure("W7", "client_lag_p99_ms", "how late a timer is, ms (p99)", low=True),
)
COLOURS = ("#2563eb", "#9ca3af", "#c4b5a0", "#a3b8a0", "#b8a3b5")
WIDTH, LABEL, BAR, GAP, HEAD = 760, 240, 14, 14, 48


def values(lines: Iterable[Line], system: str, figure: Figure) -> list[float]:
    """What the system's runs say of a figure."""
    return [
        float(line[figure.key])
        for line in lines
        if line["system"] == system and line["w"] == figure.workload and line.get(figure.key)
    ]


def number(value: float) -> str:
    """Three digits, or thousands."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cell(found: Sequence[float]) -> str:
    """The median, and in brackets the least and the most."""
    if not found:
        return "–"
    return f"{number(statistics.median(found))} ({number(min(found))} to {number(max(found))})"


def systems(lines: Iterable[Line]) -> list[str]:
    """The systems that were measured, ours first."""
    found = list(dict.fromkeys(str(line["system"]) for line in lines))
    return sorted(found, key=lambda name: name != "durable")


def table(lines: Sequence[Line]) -> str:
    """A Markdown table: a row a workload, a column a system."""
    names = systems(lines)
    rows = [
        f"| | | {' | '.join(names)} |",
        f"|---|---|{'---|' * len(names)}",
    ]
    for figure in FIGURES:
        cells = [cell(values(lines, name, figure)) for name in names]
        if any(c != "–" for c in cells):
            rows.append(f"| {figure.workload} | {figure.title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def times(lines: Sequence[Line], figure: Figure, name: str) -> float | None:
    """How many times better we are than `name`, by medians."""
    ours, theirs = values(lines, "durable", figure), values(lines, name, figure)
    if not ours or not theirs:
        return None
    ratio = statistics.median(ours) / statistics.median(theirs)
    return 1 / ratio if figure.low else ratio


def picture(lines: Sequence[Line]) -> str:
    """An SVG: for each workload a bar a system, the best one as long as there is room."""
    names = systems(lines)
    height = HEAD + len(FIGURES) * (len(names) * BAR + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        f' width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for place, name in enumerate(names):
        x = LABEL + place * 110
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<rect x="{x}" y="14" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 17}" y="24">{escape(name)}</text>')
    y = HEAD
    for figure in FIGURES:
        parts += _bars(lines, names, figure, y)
        y += len(names) * BAR + GAP
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bars(lines: Sequence[Line], names: Sequence[str], figure: Figure, y: int) -> list[str]:
    found = {name: values(lines, name, figure) for name in names}
    medians = {name: statistics.median(v) for name, v in found.items() if v}
    better = "shorter" if figure.low else "longer"
    parts = [
        f'<text x="8" y="{y + 11}" font-weight="bold">{figure.workload}</text>',
        f'<text x="34" y="{y + 11}">{escape(figure.title)}</text>',
        f'<text x="34" y="{y + 25}" fill="#6b7280">{better} is better</text>',
    ]
    most = max(medians.values(), default=1.0)
    for place, name in enumerate(names):
        if name not in medians:
            continue
        top = y + place * BAR
        length = max(1.0, (WIDTH - LABEL - 90) * medians[name] / most)
        colour = COLOURS[place % len(COLOURS)]
        parts.append(
            f'<rect x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>'
        )
        parts.append(
            f'<text x="{LABEL + length + 5:.1f}" y="{top + 10}">{number(medians[name])}</text>'
        )
    return parts
