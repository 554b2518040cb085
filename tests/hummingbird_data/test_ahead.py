import threading

import pytest
from hummingbird_data.ahead import ahead


def test_results_come_with_their_items_in_order() -> None:
    assert list(ahead(lambda item: item * 10, iter([3, 1, 2]))) == [(3, 30), (1, 10), (2, 20)]
    assert list(ahead(str, [])) == []


def test_the_next_item_is_worked_on_while_one_is_used_and_no_other() -> None:
    begun = {number: threading.Event() for number in range(4)}
    asked = []

    def items():
        for number in begun:
            asked.append(number)
            yield number

    found = ahead(lambda number: begun[number].set(), items())
    assert next(found) == (0, None)
    assert begun[1].wait(10)
    assert asked == [0, 1]
    assert next(found) == (1, None)
    assert begun[2].wait(10)
    assert not begun[3].is_set()


def test_an_error_is_raised_when_its_items_turn_has_come() -> None:
    found = ahead(lambda number: 1 // number, [2, 0, 1])
    assert next(found) == (2, 0)
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_leaving_early_does_not_wait_for_what_has_begun() -> None:
    never = threading.Event()
    found = ahead(lambda number: number and never.wait(60), [0, 1])
    assert next(found) == (0, 0)
    found.close()  # would wait for a minute
    assert not never.is_set()
