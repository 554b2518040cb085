"""Charts as inline SVG. Colors are CSS variables of the page, so both themes come from one drawing."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from hummingbird.evaluation.intervals import Interval
from hummingbird.reports.report_data import Curve, Speed

_CHARACTER = 6.6  # pixels of a character in the 12 px type of the charts


def series_color(index: int) -> str:
    """The color of the ``index``-th model or curve."""
    return f"var(--series-{index % 6})"


def svg(width: float, height: float, body: str, label: str) -> Markup:
    return Markup(
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="{escape(label)}">{body}</svg>'
    )


def text(x: float, y: float, content: object, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def rect(
    x: float, y: float, width: float, height: float, fill: str, title: str = "", radius: float = 3
) -> str:
    hint = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" rx="{radius}" '
        f'fill="{fill}">{hint}</rect>'
    )


def bars(values: Mapping[str, float], label: str, color: str = "var(--accent)") -> Markup:
    """Horizontal bars with their values, largest first."""
    rows = sorted(values.items(), key=lambda item: -item[1])
    left = max((len(name) for name, _ in rows), default=0) * _CHARACTER + 16
    width, step = 640.0, 30
    largest = max((value for _, value in rows), default=1.0) or 1.0
    body = []
    for index, (name, value) in enumerate(rows):
        y = index * step + 6
        length = (width - left - 60) * value / largest
        body.append(text(left - 10, y + 13, name, anchor="end"))
        body.append(rect(left, y, length, 18, color, f"{name}: {value:g}"))
        body.append(text(left + length + 8, y + 13, f"{value:g}", "strong"))
    return svg(width, len(rows) * step + 6, "".join(body), label)


def histogram(
    kept: Sequence[float],
    dropped: Sequence[float],
    label: str,
    threshold: float | None = None,
    bins: int = 24,
) -> Markup:
    """Two histograms over one axis: kept clips above the line, dropped ones below; the threshold drawn in.

    A threshold beyond all values stands at the edge that it lies beyond.
    """
    width, height, middle = 300.0, 130.0, 62.0
    low, high = min([*kept, *dropped], default=0.0), max([*kept, *dropped], default=1.0)
    span = (high - low) or 1.0

    def counts(values: Sequence[float]) -> list[int]:
        counted = [0] * bins
        for value in values:
            counted[min(int((value - low) / span * bins), bins - 1)] += 1
        return counted

    above, below = counts(kept), counts(dropped)
    most = max([*above, *below, 1])
    column = (width - 8) / bins
    body = [line(4, middle, width - 4, middle, "axis")]
    for index in range(bins):
        x = 4 + index * column + 1
        for count, color, up in ((above[index], "var(--good)", True), (below[index], "var(--bad)", False)):
            tall = 48.0 * count / most
            if count:
                body.append(
                    rect(x, middle - tall if up else middle, column - 2, tall, color, str(count), 1.5)
                )
    body.append(text(4, height - 4, f"{low:.3g}", "small"))
    body.append(text(width - 4, height - 4, f"{high:.3g}", "small", "end"))
    if threshold is not None:
        x = 4 + min(max((threshold - low) / span, 0.0), 1.0) * (width - 8)
        body.append(line(x, 8, x, height - 18, "threshold"))
    return svg(width, height, "".join(body), label)


def axis_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round values from ``low`` to ``high``."""
    span = (high - low) or 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - rough))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """The values 1, 2 and 5 of every decade within the range; 1 alone where that is still many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(powers) <= 4 else (1,)
    return [v for power in powers for v in (m * 10.0**power for m in steps) if low <= v <= high]


def _smooth(values: Sequence[float]) -> list[float]:
    """Running mean over about a fiftieth of the curve, so that its course can be seen through the noise."""
    half = max(len(values) // 100, 1)
    spans = (values[max(i - half, 0) : i + half + 1] for i in range(len(values)))
    return [sum(s) / len(s) for s in spans]


def curves(curve: Curve) -> Markup:
    """Lines over steps; what was measured in faint, its running mean in full color."""
    width, height, left, bottom, top = 640.0, 240.0, 56.0, 30.0, 10.0
    points = [(s, v) for steps, values in curve.series.values() for s, v in zip(steps, values, strict=True)]
    points = [(s, v) for s, v in points if math.isfinite(v)]
    if not points:
        return svg(width, 40, text(8, 24, "no values were logged"), curve.title)
    logarithmic = curve.logarithmic and min(v for _, v in points) > 0

    def scaled(value: float) -> float:
        return math.log10(value) if logarithmic else value

    x_low, x_high = min(s for s, _ in points), max(s for s, _ in points)
    y_low, y_high = min(scaled(v) for _, v in points), max(scaled(v) for _, v in points)
    pad = ((y_high - y_low) or abs(y_high) or 1.0) * 0.05
    y_low, y_high = y_low - pad, y_high + pad

    def at(step: float, value: float) -> tuple[float, float]:
        x = left + (width - left - 8) * (step - x_low) / ((x_high - x_low) or 1.0)
        return x, top + (height - bottom - top) * (1 - (scaled(value) - y_low) / (y_high - y_low))

    body = []
    for value in decades(10.0**y_low, 10.0**y_high) if logarithmic else axis_ticks(y_low, y_high):
        y = at(x_low, value)[1]
        body += [line(left, y, width - 8, y), text(left - 8, y + 4, f"{value:.3g}", "small", "end")]
    for tick in axis_ticks(x_low, x_high):
        x = at(tick, 10.0**y_low if logarithmic else y_low)[0]
        body.append(text(x, height - 8, f"{tick:g}", "small", "middle"))
    for index, (name, (steps, values)) in enumerate(curve.series.items()):
        pairs = [(s, v) for s, v in zip(steps, values, strict=True) if math.isfinite(v)]
        for kind, shown in (("faint", [v for _, v in pairs]), ("", _smooth([v for _, v in pairs]))):
            path = " ".join(
                f"{x:.1f},{y:.1f}" for x, y in (at(s, v) for (s, _), v in zip(pairs, shown, strict=True))
            )
            color = series_color(index)
            body.append(
                f'<polyline points="{path}" class="line {kind}" stroke="{color}">'
                f"<title>{escape(name)}</title></polyline>"
            )
    return svg(width, height, "".join(body), curve.title)


def intervals(
    rows: Sequence[str],
    values: Mapping[str, Mapping[str, Interval]],
    models: Sequence[str],
    summary: Sequence[str] = (),
) -> Markup:
    """A bar with its 95 % interval for every model in every row, on one scale from 0 to 1; ``summary`` rows in bold."""
    thick, gap = 9.0, 14.0
    left = max((len(row) for row in rows), default=0) * _CHARACTER + 20
    width, top = 1060.0, 22.0
    scale = width - left - 64
    block = thick * len(models) + gap
    height = top + block * len(rows)
    body = []
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x = left + scale * tick
        body += [line(x, top - 4, x, height - 6), text(x, 12, f"{100 * tick:.0f}", "small", "middle")]
    for index, row in enumerate(rows):
        y = top + index * block
        strong = "strong" if row in summary else ""
        body.append(text(left - 12, y + thick * len(models) / 2 + 4, row, strong, "end"))
        for place, model in enumerate(models):
            interval = values[model].get(row)
            if interval is None:
                continue
            here = y + place * thick
            middle = here + thick / 2 - 1
            hint = f"{model}, {row}: {100 * interval.value:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
            body.append(rect(left, here, scale * interval.value, thick - 2, series_color(place), hint, 2))
            low, high = left + scale * interval.low, left + scale * interval.high
            body.append(line(low, middle, high, middle, "whisker"))
            body += [line(x, middle - 3, x, middle + 3, "whisker") for x in (low, high)]
            end = max(left + scale * interval.value, high) + 6
            body.append(text(end, middle + 3.5, f"{100 * interval.value:.1f}", "tiny"))
    return svg(width, height, "".join(body), "scores with 95 % intervals")


def speed(data: Speed) -> Markup:
    """Stacked bars of seconds a video, part by part, with the total and the gain over the first bar."""
    entries = data.bars
    left = max((max(len(e.name), len(e.note)) for e in entries), default=0) * _CHARACTER + 20
    width, step = 1060.0, 46
    longest = max((e.seconds for e in entries), default=1.0) or 1.0
    body = []
    for index, entry in enumerate(entries):
        y = index * step + 4
        body.append(text(left - 12, y + 13, entry.name, "strong", "end"))
        body.append(text(left - 12, y + 28, entry.note, "small", "end"))
        x = left
        for place, part in enumerate(data.parts):
            seconds = entry.parts.get(part, 0.0)
            length = (width - left - 130) * seconds / longest
            if seconds:
                hint = f"{entry.name}, {part}: {seconds:.3g} s"
                body.append(rect(x, y + 2, length, 24, series_color(place), hint, 2))
            x += length
        gain = f"  ({entries[0].seconds / entry.seconds:.3g}×)" if index and entry.seconds else ""
        body.append(text(x + 8, y + 19, f"{entry.seconds:.3g} s{gain}", "strong"))
    return svg(width, len(entries) * step + 4, "".join(body), "seconds per video")
