"""Slow tests in rotation: a seed says in which order, a deadline which are begun; those left out are named.

CI has time for a part of them. With ``--rotation SEED`` modules are shuffled by the seed, so that over several runs all
have their turn; with ``--none-after SECONDS`` no test is begun once so many seconds of the session are over.
"""

import random
import time
from itertools import groupby

import pytest

STARTED = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rotation")
    group.addoption("--rotation", metavar="SEED", help="shuffle modules by this seed")
    group.addoption("--none-after", type=float, metavar="SECONDS", help="begin no test after so many seconds")


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("--rotation")
    return (
        None
        if seed is None
        else f"rotation: seed {seed}, none begun after {config.getoption('--none-after')} s"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--rotation")
    if seed is None:
        return
    modules = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    random.Random(seed).shuffle(modules)
    items[:] = [item for module in modules for item in module]


def pytest_runtest_setup(item: pytest.Item) -> None:
    limit = item.config.getoption("--none-after")
    if limit is not None and time.monotonic() - STARTED > limit:
        pytest.skip(f"left out of this rotation: {item.nodeid}")
