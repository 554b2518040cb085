"""As many files go together as take the time from one commit to the next."""

from hummingbird_data.sources.batching import BatchSizer, batches
from hummingbird_data.sources.source_batches import Source


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def sizes(seconds_a_file: list[float], seconds: float = 60, first: int = 8, most: int = 100) -> list[int]:
    clock, found, at = Clock(), [], 0
    sizer = BatchSizer(seconds, first, most, clock)
    for batch in batches([Source(str(n), None, "") for n in range(len(seconds_a_file))], sizer):
        clock.now += sum(seconds_a_file[at : at + len(batch)])
        at += len(batch)
        found.append(len(batch))
        sizer.done(len(batch))
    assert sum(found) == len(seconds_a_file)
    return found


def test_a_batch_comes_to_take_the_given_time() -> None:
    assert sizes([2.0] * 128) == [8, 30, 30, 30, 30]


def test_it_grows_step_by_step_and_is_bounded() -> None:
    assert sizes([0.01] * 340) == [8, 32, 100, 100, 100]


def test_files_that_take_longer_than_it_go_one_by_one() -> None:
    assert sizes([1000.0] * 11) == [8, 1, 1, 1]


def test_the_bound_holds_for_the_first_batch_too() -> None:
    assert sizes([1.0] * 3, most=1) == [1, 1, 1]
