"""Turns: all alike, warm-up left out."""

from hummingbird.core.timing import measure_in_turns, time_in_turns


def test_measures_take_turns_and_the_warm_up_does_not_count() -> None:
    log: list[str] = []

    def measure(name: str, turn: int) -> int:
        log.append(f"{name}{turn}")
        return 10 * turn

    results = measure_in_turns({n: lambda turn, n=n: measure(n, turn) for n in "ab"}, warmup=1, repeats=2)
    assert log == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert results == {"a": [10, 20], "b": [10, 20]}


def test_seconds_are_those_of_the_call() -> None:
    seconds = time_in_turns({"nothing": lambda: None, "sum": lambda: sum(range(100_000))}, 1, 3)
    assert len(seconds["sum"]) == 3
    assert min(seconds["sum"]) > max(0.0, min(seconds["nothing"]))
