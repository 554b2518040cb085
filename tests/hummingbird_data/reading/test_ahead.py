"""Results come in order, while the next is on its way."""

import threading
import time

import pytest
from hummingbird_data.reading import ahead as module
from hummingbird_data.reading.ahead import BackgroundTask, ahead


def test_results_come_with_their_items_in_order() -> None:
    with ahead(lambda item, task: item * 10, iter([3, 1, 2])) as found:
        assert list(found) == [(3, 30), (1, 10), (2, 20)]
    with ahead(lambda item, task: item, []) as nothing:
        assert list(nothing) == []


def test_the_next_item_is_worked_on_while_one_is_used_and_no_other() -> None:
    started = {number: threading.Event() for number in range(4)}
    asked = []

    def items():
        for number in started:
            asked.append(number)
            yield number

    with ahead(lambda number, _: started[number].set(), items()) as found:
        assert next(found) == (0, None)
        assert started[1].wait(10)
        assert asked == [0, 1]
        assert next(found) == (1, None)
        assert started[2].wait(10)
        assert not started[3].is_set()


def test_the_next_item_is_begun_while_the_last_ends() -> None:
    second = threading.Event()

    def work(number: int, task: BackgroundTask) -> bool:
        if number == 1:
            second.set()
            return True
        task.nearly_done.set()
        return second.wait(10)

    with ahead(work, [0, 1]) as found:
        assert list(found) == [(0, True), (1, True)]


def test_an_error_is_raised_when_its_items_turn_has_come() -> None:
    with ahead(lambda number, task: 1 // number, [2, 0, 1]) as found:
        assert next(found) == (2, 0)
        with pytest.raises(ZeroDivisionError):
            next(found)


def test_leaving_ends_the_work_that_has_begun() -> None:
    told = []

    def work(number: int, task: BackgroundTask) -> None:
        if number:
            told.append(task.cancelled.wait(60))

    with ahead(work, [0, 1]) as found:
        next(found)
    assert told == [True]


def test_leaving_does_not_wait_for_work_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    never = threading.Event()
    began = time.monotonic()
    with ahead(lambda number, task: number and never.wait(60), [0, 1]) as found:
        next(found)
    assert time.monotonic() - began < 30
    never.set()
