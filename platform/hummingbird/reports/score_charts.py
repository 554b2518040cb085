"""Charts of scores: all dimensions of a model around a circle, and quality against time."""

import math

from markupsafe import Markup, escape

from hummingbird.reports.charts import axis_ticks, decades, line, series_color, svg, text
from hummingbird.reports.report_data import Frontier, Scores

_LEAST = 3  # dimensions that make a polygon


def radar(scores: Scores) -> Markup:
    """A polygon a model over the dimensions that all models have, from 0 in the middle to 100 at the rim."""
    rows = [row for row in scores.dimensions if all(row in scores.values[model] for model in scores.models)]
    if len(rows) < _LEAST:
        return Markup("")
    width, height, radius = 640.0, 440.0, 150.0
    x0, y0 = width / 2, height / 2

    def at(place: int, value: float) -> tuple[float, float]:
        angle = 2 * math.pi * place / len(rows) - math.pi / 2
        return x0 + radius * value * math.cos(angle), y0 + radius * value * math.sin(angle)

    body = []
    for ring in (0.25, 0.5, 0.75, 1.0):
        points = " ".join("{:.1f},{:.1f}".format(*at(place, ring)) for place in range(len(rows)))
        body.append(f'<polygon points="{points}" class="ring"/>')
        body.append(text(x0 + 4, y0 - radius * ring + 10, f"{100 * ring:.0f}", "tiny"))
    for place, row in enumerate(rows):
        body.append(line(x0, y0, *at(place, 1.0)))
        x, y = at(place, 1.07)
        anchor = "middle" if abs(x - x0) < 12 else "start" if x > x0 else "end"
        body.append(text(x, y + 4, row, "small", anchor))
    for index, model in enumerate(scores.models):
        values = [scores.values[model][row].value for row in rows]
        points = " ".join("{:.1f},{:.1f}".format(*at(place, value)) for place, value in enumerate(values))
        body.append(
            f'<polygon points="{points}" class="area" stroke="{series_color(index)}" fill="{series_color(index)}">'
            f"<title>{escape(model)}</title></polygon>"
        )
    return svg(width, height, "".join(body), "dimensions of every model")


def frontier_chart(frontier: Frontier) -> Markup:
    """Every point with the interval of its quality; those that nothing beats are joined."""
    width, height, left, right, top, bottom = 760.0, 380.0, 52.0, 24.0, 18.0, 44.0
    seconds = [point.seconds for point in frontier.points]
    low, high = min(seconds) / 1.3, max(seconds) * 1.3
    worst = min(point.quality.low for point in frontier.points)
    best = max(point.quality.high for point in frontier.points)
    pad = max((best - worst) * 0.08, 0.01)
    worst, best = worst - pad, best + pad

    def at(time: float, quality: float) -> tuple[float, float]:
        x = left + (width - left - right) * math.log(time / low) / math.log(high / low)
        return x, top + (height - top - bottom) * (best - quality) / (best - worst)

    body = []
    for tick in axis_ticks(100 * worst, 100 * best):
        y = at(low, tick / 100)[1]
        body += [line(left, y, width - right, y), text(left - 8, y + 4, f"{tick:g}", "small", "end")]
    for tick in decades(low, high):
        x = at(tick, worst)[0]
        body += [
            line(x, top, x, height - bottom),
            text(x, height - bottom + 16, f"{tick:g}", "small", "middle"),
        ]
    body.append(text((left + width - right) / 2, height - 8, "seconds a video", "small", "middle"))
    body.append(text(left, 11, frontier.measure, "small"))
    joined = " ".join("{:.1f},{:.1f}".format(*at(p.seconds, p.quality.value)) for p in frontier.undominated)
    body.append(f'<polyline points="{joined}" class="frontier"/>')
    undominated = {point.name for point in frontier.undominated}
    models = list(dict.fromkeys(point.model for point in frontier.points))
    labels: list[tuple[float, float]] = []
    for point in sorted(frontier.points, key=lambda point: -point.quality.value):
        x, y = at(point.seconds, point.quality.value)
        color = series_color(models.index(point.model))
        body.append(line(x, at(low, point.quality.low)[1], x, at(low, point.quality.high)[1], "whisker"))
        hint = f"{point.name}: {100 * point.quality.value:.1f}, {point.seconds:.3g} s"
        fill = color if point.name in undominated else "var(--paper)"
        body.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{fill}" stroke="{color}" stroke-width="2.5">'
            f"<title>{escape(hint)}</title></circle>"
        )
        label = y + 4
        while any(abs(label - other) < 14 and abs(x - where) < 220 for where, other in labels):
            label += 14  # below the one that is there
        labels.append((x, label))
        near_edge = x > width * 0.6
        body.append(
            text(x - 11 if near_edge else x + 11, label, point.name, "small", "end" if near_edge else "start")
        )
    return svg(width, height, "".join(body), f"{frontier.measure} against seconds a video")
