from pathlib import Path

import pytest
import torch
from hummingbird.core.errors import InputError
from hummingbird.models.architectures import shapes_teacher_config, unet_config, videocrafter2_config
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import (
    Narrow,
    Plan,
    load_plan,
    whole_plan,
)
from hummingbird.pruning.slices import teacher_name


def parameters(config: dict) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in VideoUNet(**config).parameters())


@pytest.mark.parametrize(
    ("name", "count"), [("hummingbird-0.9b", 945_127_300), ("hummingbird-0.7b", 772_009_860)]
)
def test_named_plans_give_the_papers_students(name: str, count: int) -> None:
    teacher = videocrafter2_config()
    plan = load_plan(name, {**teacher, "middle": True})
    student = pruned_config(plan, {**teacher, "middle": True})
    assert plan.down == [[0], [0], [0], [0]]
    assert plan.up == [[1, 2], [1, 2], [0, 2], [0, 2]]  # reference output blocks 1 2, 4 5, 6 8, 9 11
    assert student["up_stages"] == unet_config((320, 640, 1280, 1280), down_layers=1)["up_stages"]
    assert parameters(student) == count


def test_the_shapes_student_has_at_most_60_percent_of_its_teacher() -> None:
    teacher = {**shapes_teacher_config(), "middle": True}
    student = pruned_config(load_plan("hummingbird-0.7b", teacher), teacher)
    assert parameters(student) <= 0.6 * parameters(teacher)


@pytest.mark.parametrize("stages", [1, 2, 3, 5])
def test_named_plans_fit_any_number_of_stages(stages: int) -> None:
    teacher = unet_config((32, 32, 64, 96, 96)[:stages], head_size=16, text_width=16, middle=True)
    for name in ("hummingbird-0.9b", "hummingbird-0.7b"):
        plan = load_plan(name, teacher)
        with torch.device("meta"):
            shapes = {k: v.shape for k, v in VideoUNet(**teacher).state_dict().items()}
            student = VideoUNet(**pruned_config(plan, teacher)).state_dict()
        assert all(shapes[teacher_name(plan, key)] == tensor.shape for key, tensor in student.items())


def test_a_skip_moves_to_the_nearest_kept_layer_and_is_renumbered() -> None:
    teacher = unet_config((32, 64), down_layers=3, head_size=16, text_width=16, middle=True)
    plan = Plan(name="p", down=[[0, 2], [1]], up=[[0, 3], [0, 1]], middle=True)
    with pytest.raises(InputError, match="layer 1 of down stage 1 was made for 64"):
        pruned_config(plan, teacher)
    student = pruned_config(plan.model_copy(update={"down": [[0, 2], [0]]}), teacher)
    skips = [layer["skip"] for stage in student["up_stages"] for layer in stage["layers"]]
    # Teacher: down.1.2 (gone, now down.1.0), down.0.sample, down.0.2 (now number 1), down.0.1 (gone, now
    # down.0.0).
    assert skips == ["down.1.0", "down.0.sample", "down.0.1", "down.0.0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"down": [[0], [0, 2], [0]]}, "down stage 1 has no layer 2"),
        ({"up": [[1, 2], [1, 1], [0, 2]]}, "up stage 1 asks for layer 1 twice"),
        ({"up": [[1, 2], [2, 0], [0, 2]]}, "must stand in order"),
        ({"down": [[0], [], [0]]}, "keeps no layer"),
        ({"down": [[0], [0]]}, "2 down stages; the teacher has 3"),
        ({"up": [[1, 2], [1, 2], [0, 2]]}, "keep layer 0"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_by_name(change: dict, message: str) -> None:
    teacher = {**shapes_teacher_config(), "middle": True}
    fit = load_plan("hummingbird-0.7b", teacher)
    with pytest.raises(InputError, match=message):
        pruned_config(fit.model_copy(update=change), teacher)


def test_yaml_round_trip_and_errors(tmp_path: Path) -> None:
    teacher = {**shapes_teacher_config(), "middle": True}
    plan = load_plan("hummingbird-0.7b", teacher)
    file = tmp_path / "plan.yaml"
    file.write_text(plan.to_yaml())
    assert load_plan(str(file), teacher) == plan
    file.write_text(plan.to_yaml() + "width: 3\n")
    with pytest.raises(InputError, match="width"):
        load_plan(str(file), teacher)
    with pytest.raises(InputError, match="no plan 'hummingbird-1b'"):
        load_plan("hummingbird-1b", teacher)


def test_parts_and_widths_of_a_layer_go() -> None:
    teacher = shapes_teacher_config()
    plan = whole_plan(teacher).model_copy(
        update={
            "drop": ["up.1.2.temporal_conv", "down.0.1.spatial_attention", "first.temporal_attention"],
            "narrow": {"down.0.0": Narrow(heads=1), "up.2.1": Narrow(feed_forward=64)},
        }
    )
    student = pruned_config(plan, teacher)
    assert student["first_temporal_heads"] == 0
    assert not student["up_stages"][1]["layers"][2]["temporal_conv"]
    assert not student["down_stages"][0]["layers"][1]["attention"]
    narrow = student["down_stages"][0]["layers"][0]
    assert (narrow["heads"], narrow["inner"], narrow["feed_forward"]) == (1, 64, 256)
    assert student["up_stages"][2]["layers"][1]["feed_forward"] == 64
    assert parameters(student) < parameters(teacher)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": ["up.1.2.skip", "up.1.2.skip"]}, "up.1.2.skip stands twice"),
        ({"drop": ["up.0.0.skip"]}, "does not keep that layer"),
        ({"drop": ["up.9.0.skip"]}, "no layer 'up.9.0'"),
        ({"drop": ["up.1.2.color"]}, "name temporal_conv, spatial_attention"),
        ({"drop": ["down.2.0.spatial_attention"]}, "the teacher's layer has none"),
        ({"narrow": {"down.0.0": Narrow()}}, "names no width"),
        ({"narrow": {"down.0.0": Narrow(heads=3)}}, "asks for heads 3; the teacher has 2"),
        ({"narrow": {"down.2.0": Narrow(heads=1)}}, "no attention stays there"),
    ],
)
def test_a_part_or_width_that_does_not_fit_is_refused_by_name(change: dict, message: str) -> None:
    teacher = shapes_teacher_config()
    fit = load_plan("hummingbird-0.7b", teacher)
    with pytest.raises(InputError, match=message):
        pruned_config(fit.model_copy(update=change), teacher)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    plan = load_plan("hummingbird-0.7b", shapes_teacher_config())
    parts = {"drop": ["up.1.2.skip"], "narrow": {"down.0.0": Narrow(heads=1, feed_forward=32)}}
    rich = plan.model_copy(update=parts)
    file.write_text(rich.to_yaml())
    assert load_plan(str(file), shapes_teacher_config()) == rich
    file.write_text(rich.to_yaml() + "  down.0.0: {heads: 2}\n")
    with pytest.raises(InputError, match=r"'down.0.0' stands twice"):
        load_plan(str(file), shapes_teacher_config())


def test_the_shipped_plan_keeps_at_most_55_percent_of_the_small_worlds_teacher() -> None:
    teacher = shapes_teacher_config()
    plan = load_plan("shapes-student", teacher)
    assert plan.name == "shapes-student"
    assert parameters(pruned_config(plan, teacher)) <= 0.55 * parameters(teacher)
