"""Curates raw video (a folder, glob, URI or manifest): clips with scores, verdicts and captions in the lake, and a
page to review them."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def main(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.lake.lake import Lake
    from hummingbird.reports.review import write_review
    from hummingbird_data.curate import curate, sources_of

    result = curate(settings)
    with sources_of(settings) as sources:  # the lake may hold clips of others too
        review = write_review(Lake.open(settings), settings.storage, result, sources.__contains__)
    print(f"review: {review}")
    return result


if __name__ == "__main__":
    run_verb("curate", __doc__, main, {"--source": "curate.source"})
