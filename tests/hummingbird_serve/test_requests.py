"""Bodies of requests: defaults are filled in, everything else is refused by name."""

from typing import Any

import pytest
from hummingbird_serve.requests import APIError, ServedModel, form_values, parse_request


def count(prompt: str) -> int:
    return len(prompt.split())


def test_defaults_are_the_first_models(models: dict[str, ServedModel]) -> None:
    request = parse_request({"prompt": "  a red circle "}, models, 100, count)
    assert (request.model, request.prompt, request.steps, request.guidance) == (
        "student",
        "a red circle",
        4,
        5.0,
    )
    assert (request.size, request.seconds, request.num_frames) == ("64x64", "0.5", 4)


def test_seeds_are_drawn_where_none_is_given(models: dict[str, ServedModel]) -> None:
    assert len({parse_request({"prompt": "x"}, models, 100, count).seed for _ in range(4)}) > 1


def test_forms_send_numbers_as_text(models: dict[str, ServedModel]) -> None:
    fields = {
        "prompt": "x",
        "seed": "7",
        "steps": "3",
        "guidance": "2.5",
        "num_frames": "4",
        "seconds": "0.5",
        "fps": "8",
    }
    request = parse_request(form_values(fields), models, 100, count)
    assert (request.seed, request.steps, request.guidance) == (7, 3, 2.5)


def test_other_servers_names_are_understood(models: dict[str, ServedModel]) -> None:
    fields = {
        "num_inference_steps": 3,
        "guidance_scale": 2,
        "width": 64,
        "height": 64,
        "fps": 8,
        "user": "me",
    }
    request = parse_request({"prompt": "x", **fields}, models, 100, count)
    assert (request.steps, request.guidance, request.size, request.fps) == (3, 2.0, "64x64", 8)
    assert request.user == "me"


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({}, 400, "prompt"),
        ({"prompt": " \n"}, 400, "prompt"),
        ({"prompt": 3}, 400, "prompt"),
        ({"prompt": "x" * 10_000}, 400, "prompt"),
        ({"prompt": "one two three four five six seven eight nine"}, 400, "prompt"),
        ({"prompt": "x", "model": "sora-2"}, 404, "model"),
        ({"prompt": "x", "size": "720x1280"}, 400, "size"),
        ({"prompt": "x", "seconds": "4"}, 400, "seconds"),
        ({"prompt": "x", "seconds": "soon"}, 400, "seconds"),
        ({"prompt": "x", "seconds": 10**400}, 400, "seconds"),
        ({"prompt": "x", "num_frames": 100_000}, 400, "num_frames"),
        ({"prompt": "x", "steps": 9}, 400, "steps"),
        ({"prompt": "x", "steps": 0}, 400, "steps"),
        ({"prompt": "x", "steps": "many"}, 400, "steps"),
        ({"prompt": "x", "seed": -1}, 400, "seed"),
        ({"prompt": "x", "seed": 2**31}, 400, "seed"),
        ({"prompt": "x", "guidance": "nan"}, 400, "guidance"),
        ({"prompt": "x", "guidance": 31}, 400, "guidance"),
        ({"prompt": "x", "input_reference": "cat.png"}, 400, "input_reference"),
        ({"prompt": "x", "negative_prompt": "blurry"}, 400, "negative_prompt"),
        ({"prompt": "x", "seed": True}, 400, "seed"),
        ({"prompt": "x", "seed": "7"}, 400, "seed"),
        ({"prompt": "x", "seed": 7.0}, 400, "seed"),
        (form_values({"prompt": "x", "seed": "\uff17"}), 400, "seed"),
        (form_values({"prompt": "x", "guidance": "\uff17"}), 400, "guidance"),
        ({"prompt": "\u200b\u2060\ufeff\u3164\u2800\u034f"}, 400, "prompt"),
        ({"prompt": "x", "steps": 2, "num_inference_steps": 3}, 400, "num_inference_steps"),
        ({"prompt": "x", "width": 65}, 400, "width"),
        ({"prompt": "x", "fps": 24}, 400, "fps"),
        ({"prompt": "x", "user": "u" * 65}, 400, "user"),
        ({"prompt": "x", "n": 2}, 400, "n"),
    ],
)
def test_what_cannot_be_made_is_refused(
    fields: dict[str, Any], status: int, param: str, models: dict[str, ServedModel]
) -> None:
    with pytest.raises(APIError) as refused:
        parse_request(fields, models, 500, count)
    assert (refused.value.status, refused.value.param) == (status, param)
    body = refused.value.as_json()["error"]
    assert set(body) == {"message", "type", "param", "code"}
    assert len(body["message"]) < 300
