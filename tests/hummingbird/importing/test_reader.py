"""Reading files of unknown origin: weights only, in a process of their own, with errors that say what to do."""

import pickle
import struct
from pathlib import Path

import pytest
import torch
from hummingbird.core.errors import InputError
from hummingbird.importing.reader import open_weights, shapes_alone
from safetensors.torch import save_file


class Trap:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (str(self.mark),)


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message), open_weights(path):
        pass


def test_a_lightning_file_is_opened_to_its_tensors_in_their_order(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    state = {
        "z": shared,
        "a": shared[2:4],
        "m": shared.view(2, 3).T,
        "h": torch.ones(2, dtype=torch.bfloat16),
    }
    torch.save({"state_dict": state, "epoch": 1, "optimizer_states": []}, tmp_path / "a.ckpt")
    with open_weights(tmp_path / "a.ckpt") as weights:
        assert list(weights.tensors) == ["z", "a", "m", "h"]
        assert all(torch.equal(weights.tensors[name], tensor) for name, tensor in state.items())


@pytest.mark.usefixtures("unpickled_here")
def test_the_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "a.ckpt")
    torch.save({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("a.ckpt", "a.safetensors", "old.pt"):
        with open_weights(tmp_path / name) as weights:
            assert weights.tensors["a"].tolist() == [1, 1]


def test_safetensors_whose_header_is_as_long_as_a_pickles_first_byte_are_read(tmp_path: Path) -> None:
    path, weights = tmp_path / "a.safetensors", {"a": torch.ones(2)}
    for padding in range(200):
        save_file(weights, path, metadata={"note": "x" * padding})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    with open_weights(path) as read:
        assert torch.equal(read.tensors["a"], weights["a"])


def test_whole_objects_are_refused_without_running_them(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"state_dict": {"a": torch.ones(1)}, "callbacks": Trap(mark)}, tmp_path / "trap.ckpt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Trap(mark)))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    for name in ("trap.ckpt", "plain.pkl", "module.pt"):
        refused(tmp_path / name, r"whole objects.*would run code.*torch\.save\(model\.state_dict\(\)")
    assert not mark.exists()


@pytest.mark.usefixtures("unpickled_here")
def test_truncated_files_are_told_as_such(tmp_path: Path) -> None:
    save_file({"a": torch.rand(64, 64)}, tmp_path / "whole.safetensors")
    torch.save({"a": torch.rand(64, 64)}, tmp_path / "whole.ckpt")
    for name in ("whole.safetensors", "whole.ckpt"):
        data = (tmp_path / name).read_bytes()
        for part in (len(data) - 100, len(data) // 2, 20):
            (tmp_path / f"cut-{name}").write_bytes(data[:part])
            refused(tmp_path / f"cut-{name}", "cut short")


@pytest.mark.usefixtures("unpickled_here")
def test_what_holds_no_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    refused(tmp_path / "empty", "is empty")
    refused(tmp_path / "absent", "no checkpoint at")
    (tmp_path / "page.html").write_text("<html>not found</html>")
    refused(tmp_path / "page.html", "no checkpoint that can be read")
    (tmp_path / "header.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    refused(tmp_path / "header.safetensors", "holds no tensors")
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    refused(tmp_path / "tensor.pt", "no dictionary of tensors")
    torch.save({"a": torch.ones(2), "rate": 0.1}, tmp_path / "mixed.pt")
    refused(tmp_path / "mixed.pt", "no tensors: rate")


@pytest.mark.parametrize("pickled", [True, False])
def test_shapes_alone_are_read_without_the_values(tmp_path: Path, pickled: bool) -> None:
    tensors = {"b": torch.ones(3, 4, dtype=torch.float16), "a": torch.zeros(())}
    path = tmp_path / "weights"
    if pickled:
        torch.save({"state_dict": tensors}, path)
    else:
        save_file(tensors, path)
    with shapes_alone(), open_weights(path) as weights:
        read = weights.tensors
    assert {name: (t.shape, t.dtype, t.is_meta) for name, t in read.items()} == {
        name: (t.shape, t.dtype, True) for name, t in tensors.items()
    }
    with open_weights(path) as weights:
        assert torch.equal(weights.tensors["b"], tensors["b"])
