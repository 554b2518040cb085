"""Writes the page: the template filled with the data, the style sheet inside."""

from pathlib import Path

import jinja2
from markupsafe import Markup

from hummingbird.core.files import AnyPath, write_atomically
from hummingbird.reports import charts
from hummingbird.reports.plan_chart import plan_picture
from hummingbird.reports.report_data import ReportData

_FOLDER = Path(__file__).parent


def write_report(data: ReportData, path: AnyPath) -> AnyPath:
    """Write the page at ``path``, in one step, and return it. It loads nothing from elsewhere."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(charts=charts, plan_picture=plan_picture, color=charts.series_color)
    environment.filters.update(duration=duration, millions=millions)
    style = Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))
    text = environment.get_template("page.html").render(data=data, style=style)
    write_atomically(path, text.encode())
    return path


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def millions(count: int) -> str:
    """A number of parameters with its unit."""
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return str(count)
