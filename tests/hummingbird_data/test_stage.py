"""A stage's errors stay with their row, and its columns are what it declares."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hummingbird_data.stage import (
    Row,
    Stage,
    StageError,
    StageRunner,
    _Batches,
    _BatchRunner,
    add_stages,
    run_plain,
)


@dataclass
class Halve(Stage):
    name: ClassVar[str] = "halve"
    inputs: ClassVar[tuple[str, ...]] = ("number",)
    outputs: ClassVar[tuple[str, ...]] = ("half",)
    actors: int = 0
    batch_rows: int = 3

    def process(self, row: Row) -> Iterable[Row]:
        if row["number"] == 13:
            raise StageError("luck", "no thirteens")
        if row["number"] % 2:
            raise ValueError("odd")
        return [{"half": row["number"] // 2}]


@dataclass
class Spread(Stage):
    name: ClassVar[str] = "spread"
    inputs: ClassVar[tuple[str, ...]] = ("half",)
    outputs: ClassVar[tuple[str, ...]] = ("part",)
    actors: int = 0

    def process(self, row: Row) -> Iterable[Row]:
        return [{"part": part} for part in range(row["half"])]


def test_a_bad_row_carries_its_error_and_leaves_its_neighbors_alone() -> None:
    rows = StageRunner(Halve()).run([{"number": 4}, {"number": 5}, {"number": 13}, {"number": 6}])
    assert [row["half"] for row in rows] == [2, None, None, 3]
    assert [(row.get("error_stage"), row.get("error")) for row in rows] == [
        (None, None), ("halve", "ValueError: odd"), ("luck", "no thirteens"), (None, None)
    ]  # fmt: skip


def test_an_error_is_not_lost_where_the_first_row_of_its_batch_has_none() -> None:
    made = _BatchRunner(Halve())(pa.table({"number": [4, 13, 6]}))
    assert made["error"].to_pylist() == [None, "no thirteens", None]
    assert made["half"].to_pylist() == [2, None, 3]


def test_rows_carry_the_time_that_a_stage_took_for_them() -> None:
    rows = StageRunner(Spread()).timed([{"half": 2}, {"half": 3}])
    assert len(rows) == 5
    assert len({row["seconds_spread"] for row in rows}) == 1
    assert rows[0]["seconds_spread"] > 0


def test_later_stages_pass_a_failed_row_through() -> None:
    rows = StageRunner(Spread()).run([{"half": None, "error": "odd", "error_stage": "halve"}, {"half": 2}])
    assert [row["part"] for row in rows] == [None, 0, 1]
    assert rows[0]["error"] == "odd"


def test_columns_that_are_not_declared_are_an_error() -> None:
    class Sloppy(Halve):
        def process(self, row: Row) -> Iterable[Row]:
            return [{"half": 1, "other": 2}]

    with pytest.raises(TypeError, match="declares"):
        StageRunner(Sloppy()).run([{"number": 2}])


def test_a_process_sets_a_stage_up_once_for_all_its_tasks() -> None:
    loads = []

    class Loading(Halve):
        def setup(self) -> None:
            loads.append(self.batch_rows)

    for rows in (7, 7, 8):
        assert _Batches([Loading(batch_rows=rows)])(pa.table({"number": [4]}))["half"].to_pylist() == [2]
    assert loads == [7, 8]


def test_a_row_takes_all_stages_before_the_next_one_comes() -> None:
    seen = []

    class Noting(Halve):
        def process(self, row: Row) -> Iterable[Row]:
            seen.append(f"half of {row['number']}")
            return super().process(row)

    class Counting(Spread):
        def process(self, row: Row) -> Iterable[Row]:
            seen.append(f"parts of {row['half']}")
            return super().process(row)

    rows = run_plain([{"number": 4}, {"number": 6}], [Noting(batch_rows=1), Counting()])
    assert [row["part"] for row in rows] == [0, 1, 0, 1, 2]
    assert seen == ["half of 4", "parts of 2", "half of 6", "parts of 3"]


@pytest.mark.parametrize("actors", [0, 1])
def test_stages_run_in_ray_data_as_tasks_and_as_actors(ray_cluster: None, actors: int) -> None:
    import ray.data

    numbers: list[Any] = [{"number": n} for n in (2, 3, 4, 6)]
    dataset = ray.data.from_items(numbers, override_num_blocks=4)
    dataset = add_stages(dataset, [Halve(actors=actors), Spread(actors=actors)])
    made = sorted((row["number"], -1 if row["part"] is None else row["part"]) for row in dataset.iter_rows())
    assert made == [(2, 0), (3, -1), (4, 0), (4, 1), (6, 0), (6, 1), (6, 2)]


@pytest.mark.parametrize("actors", [0, 1])
def test_the_dashboard_calls_work_by_its_stages(ray_cluster: None, actors: int) -> None:
    import ray.data

    dataset = ray.data.from_items([{"number": 2}])
    dataset = add_stages(dataset, [Halve(batch_rows=1, actors=actors), Spread(actors=actors)])
    described = str(dataset.materialize().stats())
    assert ("(halve)" if actors else "(halve+spread)") in described
