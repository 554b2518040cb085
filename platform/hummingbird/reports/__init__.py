"""The report: one self-contained HTML page that gathers what the runs of a line have written."""

from hummingbird.reports.page import write_report
from hummingbird.reports.report_data import ReportData

__all__ = ["ReportData", "write_report"]
