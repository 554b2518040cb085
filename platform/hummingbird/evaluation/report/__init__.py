"""The report: one self-contained HTML page that gathers what the runs of a line have written."""

from hummingbird.evaluation.report.data import ReportData
from hummingbird.evaluation.report.page import write_report

__all__ = ["ReportData", "write_report"]
