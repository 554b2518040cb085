"""``jobs/lake.py`` with a first word: what keeps the lake small, and what it knows of a model or two snapshots."""

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from hummingbird.config.settings import Settings
from hummingbird.lake.maintenance import DAYS


def _print(rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        print(json.dumps(row, default=datetime.isoformat, ensure_ascii=False))


def add_lineage_arguments(parser: argparse.ArgumentParser) -> None:
    """The model."""
    parser.add_argument("model", metavar="MODEL", help="a model_id of the table models")


def lineage(settings: Settings, args: argparse.Namespace) -> None:
    """Prints a model's line, then the clips."""
    from hummingbird.lake.lake import Lake
    from hummingbird.lake.maintenance import lineage_rows

    _print(lineage_rows(Lake.open(settings, create=False), args.model))


def add_diff_arguments(parser: argparse.ArgumentParser) -> None:
    """Two snapshots."""
    parser.add_argument("before", type=int, metavar="BEFORE", help="a snapshot of clips")
    parser.add_argument("after", type=int, metavar="AFTER", help="a later one")


def diff(settings: Settings, args: argparse.Namespace) -> None:
    """Prints what became of the clips."""
    from hummingbird.lake.lake import Lake
    from hummingbird.lake.maintenance import diff_rows

    _print(diff_rows(Lake.open(settings, create=False), args.before, args.after))


def compact(settings: Settings) -> None:
    """Prints the files of each table before and after."""
    from hummingbird.lake.lake import Lake
    from hummingbird.lake.maintenance import compact

    _print(
        [
            {"table": name, "files": files}
            for name, files in compact(Lake.open(settings, create=False)).items()
        ]
    )


def expire(settings: Settings) -> None:
    """Prints the snapshots of each table before and after."""
    from hummingbird.lake.lake import Lake
    from hummingbird.lake.maintenance import expire

    counts = expire(Lake.open(settings, create=False))
    _print([{"table": name, "snapshots": snapshots} for name, snapshots in counts.items()])


def add_orphans_arguments(parser: argparse.ArgumentParser) -> None:
    """``--delete`` and ``--days``."""
    parser.add_argument("--delete", action="store_true", help="delete them; without it they are only listed")
    parser.add_argument(
        "--days",
        type=float,
        default=DAYS,
        metavar="N",
        help=f"age from which they are deleted ({DAYS:g} days)",
    )


def orphans(settings: Settings, args: argparse.Namespace) -> None:
    """Lists media that no row names, or deletes those that are old enough."""
    from hummingbird.lake.lake import Lake
    from hummingbird.lake.maintenance import delete_orphans
    from hummingbird.lake.orphans import orphans

    lake = Lake.open(settings, create=False)
    found = delete_orphans(lake, args.days) if args.delete else orphans(lake)
    _print({**asdict(orphan), "deleted": args.delete} for orphan in found)
