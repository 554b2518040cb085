"""The engine vllm where vLLM is not installed; tests/vllm runs it where it is."""

import sys
from types import ModuleType

import pytest
from hummingbird.core.errors import InputError
from hummingbird_data.captions import vllm_plugin
from hummingbird_data.captions.engine_vllm import _plain
from hummingbird_data.captions.engines import Engine, failed


def test_the_engine_vllm_says_how_to_get_it_where_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hummingbird_data.captions.engine_vllm.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"extra 'caption'"):
        Engine("vllm", "folder", "tiny", frames=3, max_tokens=8).check()


def test_a_request_that_failed_is_a_failure_of_its_clip_alone() -> None:
    row = {"clip_id": "7", "answer": "", "__inference_error__": "ValueError: too long", "frames_hash": "f"}
    assert _plain(row) == {"clip_id": "7", **failed("ValueError: too long")}
    unread = {**row, **failed("OSError: gone"), "__inference_error__": "the clip cannot be read"}
    assert _plain(unread) == {"clip_id": "7", **failed("OSError: gone")}


def test_the_plugin_fills_in_only_what_transformers_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pixtral")
    module.PixtralRotaryEmbedding = str  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pixtral", module)
    monkeypatch.setattr(vllm_plugin, "_MODULE", "pixtral")
    vllm_plugin.register()
    assert module.PixtralRotaryEmbedding is str  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot run Pixtral"):
        module.position_ids_in_meshgrid()  # type: ignore[attr-defined]
