"""Writes the page: the template filled with the data, the style sheet inside."""

from dataclasses import replace
from pathlib import Path

import jinja2
from markupsafe import Markup

from hummingbird.core.files import AnyPath, write_atomically
from hummingbird.reports import charts
from hummingbird.reports.embed import video_uri
from hummingbird.reports.frontier import frontier_rows
from hummingbird.reports.plan_chart import plan_picture
from hummingbird.reports.report_data import GridVideo, ReportData, VideoGrid
from hummingbird.reports.score_charts import frontier_chart, radar

EMBEDDED_BYTES = 24 * 2**20
"""Videos of more than this together go beside the page."""
_FOLDER = Path(__file__).parent


def write_report(data: ReportData, path: AnyPath) -> AnyPath:
    """Write the page at ``path``, in one step, and return it.

    It loads nothing from elsewhere, but for videos that are too many for one file: they go beside it, into a folder.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        charts=charts,
        plan_picture=plan_picture,
        color=charts.series_color,
        frontier_chart=frontier_chart,
        frontier_rows=frontier_rows,
        radar=radar,
    )
    environment.filters.update(duration=duration, millions=millions)
    style = Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))
    placed = data if data.grid is None else replace(data, grid=_placed(data.grid, path))
    text = environment.get_template("page.html").render(data=placed, style=style)
    write_atomically(path, text.encode())
    return path


def _placed(grid: VideoGrid, path: AnyPath) -> VideoGrid:
    """The videos inside the page, or beside it where they are large together."""
    files = {v.source for row in grid.rows for v in row.videos.values() if isinstance(v.source, Path)}
    inside = sum(file.stat().st_size for file in files) <= EMBEDDED_BYTES
    beside = path.parent / f"{path.stem}-videos"
    places: dict[Path, str] = {}
    for number, file in enumerate(sorted(files)):
        places[file] = video_uri(file) if inside else f"{beside.name}/{number:04d}.mp4"
        if not inside:
            write_atomically(beside / f"{number:04d}.mp4", file.read_bytes())

    def placed(video: GridVideo) -> GridVideo:
        return replace(video, source=places[video.source]) if isinstance(video.source, Path) else video

    rows = tuple(replace(row, videos={m: placed(v) for m, v in row.videos.items()}) for row in grid.rows)
    return replace(grid, rows=rows)


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
