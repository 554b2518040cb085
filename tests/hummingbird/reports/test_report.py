"""The page: whole, self-contained, as long as there is something to tell."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from hummingbird.reports import ReportData, page, write_report
from hummingbird.reports.charts import bars, curves
from hummingbird.reports.embed import strip_uris
from hummingbird.reports.page import duration
from hummingbird.reports.report_data import Curve, GridVideo, VideoGrid, VideoRow

SECTIONS = (
    "videos",
    "scores",
    "frontier",
    "speed",
    "curation",
    "captions",
    "plan",
    "training",
    "lineage",
    "runs",
)
VOID = {"meta", "img", "br", "link", "input"}


class Outline(HTMLParser):
    """Collects sections and sources, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.sources: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "section":
            self.sections.append(attributes["id"] or "")
        self.sources += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_full_report_has_every_part_and_loads_nothing(example_report: ReportData, tmp_path: Path) -> None:
    text = write_report(example_report, tmp_path / "report.html").read_text()
    outline = Outline(text)
    assert outline.sections == list(SECTIONS)
    assert all(s.startswith(("data:", "#")) for s in outline.sources)
    assert not re.search(r"url\(|@import|https?://", text.replace("url(#head)", ""))
    assert text.count("<video") == 16


def test_a_report_of_curation_alone_is_shorter(example_report: ReportData, tmp_path: Path) -> None:
    alone = ReportData("Review", "", "now", curation=example_report.curation)
    outline = Outline(write_report(alone, tmp_path / "report.html").read_text())
    assert outline.sections == ["curation"]
    assert [s for s in outline.sources if s.startswith("#")] == ["#curation"]


def test_text_from_outside_is_escaped(example_report: ReportData, tmp_path: Path) -> None:
    assert example_report.curation is not None
    bad = "<script>alert(1)</script>"
    curation = replace(example_report.curation, quarantine=((bad, bad, bad),), reasons={bad: 3})
    text = write_report(
        replace(example_report, title=bad, curation=curation), tmp_path / "r.html"
    ).read_text()
    assert "<script>alert" not in text


def test_many_videos_lie_beside_the_page(
    example_report: ReportData, tmp_path: Path, monkeypatch: Any
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 1000)
    rows = (VideoRow("a dog", 1, {"a": GridVideo(clip), "b": GridVideo(clip)}),)
    report = replace(example_report, grid=VideoGrid(("a", "b"), rows))
    inside = write_report(report, tmp_path / "report.html").read_text()
    assert inside.count('src="data:video/mp4') == 2
    monkeypatch.setattr(page, "EMBEDDED_BYTES", 999)
    beside = write_report(report, tmp_path / "report.html").read_text()
    assert beside.count('src="report-videos/0000.mp4"') == 2
    assert (tmp_path / "report-videos/0000.mp4").read_bytes() == clip.read_bytes()


def test_charts_take_values_that_are_hard_to_draw() -> None:
    nan = float("nan")
    for values in ((), (1.0,), (2.0, 2.0), (0.0, 1.0), (1e-9, 1e6), (nan, 1.0)):
        steps = tuple(float(i) for i in range(len(values)))
        drawn = str(curves(Curve("loss", {"loss": (steps, values)})))
        assert "nan" not in drawn
    assert "0" in bars({"nothing": 0}, "reasons")
    assert bars({}, "reasons")


def test_a_strip_takes_clips_shorter_than_it() -> None:
    assert len(strip_uris(np.zeros((3, 64, 64, 3), np.uint8), count=5)) == 3


def test_durations_read_as_people_say_them() -> None:
    assert [duration(s) for s in (4.23, 61, 7320)] == ["4.2 s", "1 min 01 s", "2 h 02 min"]
