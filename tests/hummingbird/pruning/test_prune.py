import pytest
import torch
from hummingbird.core.errors import InputError
from hummingbird.models.architectures import unet_config
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.prune import prune_unet, pruning_report
from hummingbird.pruning.pruning_plan import Narrow, Plan, load_plan, whole_plan


@pytest.fixture
def teacher() -> VideoUNet:
    torch.manual_seed(0)
    config = unet_config(
        (16, 24),
        head_size=8,
        in_channels=4,
        text_width=8,
        norm_groups=8,
        first_temporal_heads=1,
        middle=True,
        embed_places=True,
    )
    model = VideoUNet(**config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    return model


def test_every_student_tensor_is_the_named_tensor_of_the_teacher(teacher: VideoUNet) -> None:
    student = prune_unet(teacher, load_plan("hummingbird-0.7b", teacher.config))
    theirs, own = teacher.state_dict(), student.state_dict()
    assert torch.equal(
        own["down_blocks.1.resnets.0.conv1.weight"], theirs["down_blocks.1.resnets.0.conv1.weight"]
    )
    assert torch.equal(
        own["up_blocks.1.attentions.1.norm.weight"], theirs["up_blocks.1.attentions.2.norm.weight"]
    )
    assert torch.equal(
        own["up_blocks.0.resnets.1.conv1.weight"], theirs["up_blocks.0.resnets.2.conv1.weight"]
    )
    assert torch.equal(own["up_blocks.1.resnets.1.conv2.bias"], theirs["up_blocks.1.resnets.2.conv2.bias"])
    assert not any(name.startswith("mid_block") for name in own)
    assert (
        own["conv_in.weight"].data_ptr() != theirs["conv_in.weight"].data_ptr()
    )  # training leaves the teacher alone


def test_a_plan_that_keeps_all_gives_the_teacher_back(teacher: VideoUNet) -> None:
    plan = Plan(name="all", down=[[0, 1], [0, 1]], up=[[0, 1, 2], [0, 1, 2]], middle=True)
    student = prune_unet(teacher, plan).eval()
    inputs = torch.randn(1, 4, 4, 8, 8), torch.tensor([7]), torch.randn(1, 3, 8), torch.tensor([8.0])
    with torch.no_grad():
        torch.testing.assert_close(student(*inputs), teacher.eval()(*inputs))


def test_the_report_shows_what_went_and_finds_a_wrong_weight(teacher: VideoUNet) -> None:
    plan = load_plan("hummingbird-0.7b", teacher.config)
    student = prune_unet(teacher, plan)
    report = pruning_report(teacher, student, plan)
    layers = {entry["layer"]: entry for entry in report["layers"]}
    gone = [name for name, entry in layers.items() if not entry["kept"]]
    assert gone == ["down.0.1", "down.1.1", "middle", "up.0.0", "up.1.1"]
    assert layers["up.1.2"]["student_layer"] == "up.1.1"
    assert sum(entry["parameters"] for entry in report["layers"]) == report["teacher"]["parameters"]
    kept = sum(entry["parameters"] for entry in report["layers"] if entry["kept"])
    assert kept == report["student"]["parameters"]
    assert all(entry["largest_difference"] == 0 for entry in report["layers"] if entry["kept"])
    with torch.no_grad():
        student.up_blocks[1].resnets[1].conv1.weight[0, 0] += 0.5
    layers = {entry["layer"]: entry for entry in pruning_report(teacher, student, plan)["layers"]}
    assert layers["up.1.2"]["largest_difference"] == pytest.approx(0.5)


def test_a_layer_without_its_skip_keeps_the_weights_of_what_comes_from_below(teacher: VideoUNet) -> None:
    plan = whole_plan(teacher.config).model_copy(update={"drop": ["up.1.0.skip", "up.1.2.skip"]})
    own, theirs = prune_unet(teacher, plan).state_dict(), teacher.state_dict()
    for layer, carried in ((0, 24), (2, 16)):
        block = f"up_blocks.1.resnets.{layer}"
        for name, axis in (("norm1.weight", 0), ("conv1.weight", 1), ("conv_shortcut.weight", 1)):
            source = theirs[f"{block}.{name}"].narrow(axis, 0, carried)
            assert torch.equal(own[f"{block}.{name}"], source)
    student = prune_unet(teacher, plan)
    inputs = torch.randn(1, 4, 4, 8, 8), torch.tensor([7]), torch.randn(1, 3, 8), torch.tensor([8.0])
    assert student(*inputs).isfinite().all()


def test_a_narrowed_layer_computes_what_the_teacher_does_without_the_rest(teacher: VideoUNet) -> None:
    plan = whole_plan(teacher.config).model_copy(
        update={"narrow": {"down.0.0": Narrow(heads=1), "up.1.2": Narrow(feed_forward=40)}}
    )
    student = prune_unet(teacher, plan)
    # In the teacher, silence the same head and the same channels: outputs must then be equal.
    for kind in ("attentions", "temp_attentions"):
        block = getattr(teacher.down_blocks[0], kind)["0"].transformer_blocks[0]
        small = getattr(student.down_blocks[0], kind)["0"].transformer_blocks[0]
        for name in ("attn1", "attn2"):
            values, kept = getattr(block, name).to_v.weight, getattr(small, name).to_v.weight
            gone = 1 if torch.equal(values[:8], kept) else 0
            with torch.no_grad():
                values[gone * 8 : gone * 8 + 8] = 0
        wide = getattr(teacher.up_blocks[1], kind)["2"].transformer_blocks[0].ff.net
        thin = getattr(student.up_blocks[1], kind)["2"].transformer_blocks[0].ff.net
        with torch.no_grad():
            for column in range(wide[2].weight.shape[1]):
                if not (thin[2].weight == wide[2].weight[:, column, None]).all(0).any():
                    wide[2].weight[:, column] = 0
    inputs = torch.randn(1, 4, 4, 8, 8), torch.tensor([7]), torch.randn(1, 3, 8), torch.tensor([8.0])
    with torch.no_grad():
        torch.testing.assert_close(student(*inputs), teacher.eval()(*inputs))
    report = pruning_report(teacher, student, plan)
    assert next(e for e in report["layers"] if e["layer"] == "down.0.0")["narrow"] == {"heads": 1}


def test_a_teacher_with_a_nan_is_refused_by_the_tensors_name(teacher: VideoUNet) -> None:
    with torch.no_grad():
        teacher.conv_out.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"conv_out\.weight holds values that are not finite"):
        prune_unet(teacher, whole_plan(teacher.config))
