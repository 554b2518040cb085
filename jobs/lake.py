"""Prints a table of the lake as JSON lines, or (orphans) the media files that no row of any snapshot names."""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake, parse_json
from hummingbird.lake.orphans import orphans


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="clips, quarantine, runs, models or orphans")
    parser.add_argument("--where", metavar="FILTER", help="row filter, e.g. \"verdict = 'dropped'\"")
    parser.add_argument("--snapshot", type=int, metavar="ID", help="a snapshot of clips; none: the current")


def main(settings: Settings, given: argparse.Namespace) -> None:
    lake = Lake.open(settings, create=False)
    if given.table == "orphans":
        for orphan in orphans(lake):
            print(json.dumps(asdict(orphan), ensure_ascii=False))
        return
    for batch in lake.batches(given.table, given.where, given.snapshot):
        for row in batch.to_pylist():
            json.dump(parse_json(row), sys.stdout, default=datetime.isoformat, ensure_ascii=False)
            print()


if __name__ == "__main__":
    run_verb("lake", __doc__, main, arguments=add_arguments)
