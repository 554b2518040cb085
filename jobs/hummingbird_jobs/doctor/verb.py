"""The verb ``doctor``: what a recipe needs, looked at before any hour is spent on it."""

import argparse
import sys
from collections.abc import Iterator

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError

from hummingbird_jobs.doctor.finding import Check, Finding
from hummingbird_jobs.doctor.machine import check_compiler, check_disk, check_gpus, check_versions
from hummingbird_jobs.doctor.models import check_imports, check_models
from hummingbird_jobs.doctor.places import check_catalog, check_source, check_storage

MISSING = 1
"""Exit code where something is missing."""

CHECKS: tuple[Check, ...] = (
    check_versions,
    check_imports,
    check_models,
    check_source,
    check_gpus,
    check_disk,
    check_storage,
    check_catalog,
    check_compiler,
)


def doctor(settings: Settings, args: argparse.Namespace) -> None:
    """Prints a line a finding; exits with `MISSING` where something is missing."""
    findings = []
    for finding in examine(settings):
        print(finding, flush=True)
        findings.append(finding)
    missing = [finding for finding in findings if finding.state == "missing"]
    name = args.recipe or "these settings"
    print(f"\n{len(missing)} missing for {name}" if missing else f"\nnothing is missing for {name}")
    if missing:
        sys.exit(MISSING)


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding. What a check itself cannot do is a finding too."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except InputError as error:
            yield Finding("missing", check.__name__.removeprefix("check_"), str(error))
