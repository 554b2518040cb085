"""Classes of a seam by name and import path, with settings of their own."""

import pytest
from hummingbird.config.plugins import resolve_plugin, resolve_plugins
from hummingbird.config.section import Section
from hummingbird.core.errors import InputError


class Base:
    pass


class Mine(Base):
    class Settings(Section):
        least: float = 0.5

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


HERE = f"{__name__}:Mine"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__(__name__))


def test_a_class_is_named_shortly_by_path_or_with_its_settings() -> None:
    assert resolve_plugin("a.b", "mine", {"mine": HERE}, Base).kind is Mine
    assert resolve_plugin("a.b", HERE, {}, Base).build().settings.least == 0.5
    assert resolve_plugin("a.b", {HERE: {"least": 0.7}}, {}, Base).build().settings.least == 0.7
    assert [one.name for one in resolve_plugins("a.b", {HERE: {}}, {}, Base)] == [HERE]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("mnie", "did you mean 'mine'"),
        ("nowhere.at.all:Mine", "no module 'nowhere.at.all'"),
        (f"{__name__}:HERE", "is no Base"),
        ({HERE: {"lest": 1}}, "did you mean 'least'"),
        ({HERE: {"least": "much"}}, "setting 'least'"),
    ],
)
def test_what_cannot_be_used_is_named(choice: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_plugin("a.b", choice, {"mine": HERE}, Base)  # type: ignore[arg-type]
