"""The model card in the Hub's format, from what runs measured: nothing in it is written by hand but the user's note."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from hummingbird.reports.page import millions
from hummingbird.reports.report_data import LineageNode

_HUB_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_WEAKEST = 3


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from.

    Attributes:
        name: of the model.
        repo: where it is loaded from.
        licence: as the Hub calls it, or in words.
        base_model, datasets: repositories on the Hub.
        parameters: of the U-Net.
        sampling: ``num_inference_steps``, ``guidance_scale``, ``num_frames``, ``height``, ``width``, ``decoder``.
        evaluation: metrics of an evaluation of these weights, and what it called them; none: there was none.
        speed: a benchmark's rows of these weights, by name, and the device.
        lineage: from the model to its data.
        note: the user's.
    """

    name: str
    repo: str
    licence: str
    base_model: str | None
    datasets: Sequence[str]
    parameters: int
    sampling: Mapping[str, Any]
    evaluation: tuple[Mapping[str, Any], str] | None
    speed: tuple[Mapping[str, Any], str] | None
    lineage: Sequence[LineageNode]
    note: str = ""


def model_card(facts: CardFacts) -> str:
    """The card: metadata, then use, scores, speed, origin and limits."""
    body = "\n".join(_body(facts))
    return f"---\n{_metadata(facts).to_yaml()}\n---\n\n{body}\n"


def _metadata(facts: CardFacts) -> ModelCardData:
    known = _HUB_LICENCE.fullmatch(facts.licence) is not None
    return ModelCardData(
        model_name=facts.name,
        license=facts.licence if known else "other",
        license_name=None if known else facts.licence,
        library_name="diffusers",
        pipeline_tag="text-to-video",
        base_model=facts.base_model,
        datasets=list(facts.datasets) or None,
        tags=["text-to-video", "hummingbird"],
        eval_results=list(_results(facts)) or None,
    )


def _results(facts: CardFacts) -> Iterator[EvalResult]:
    if facts.evaluation is None:
        return
    metrics, name = facts.evaluation
    suite = metrics["suite"]
    for row, interval in _values(metrics["models"][name]).items():
        yield EvalResult(
            task_type="text-to-video",
            dataset_type=f"hummingbird-{suite['name'].replace(':', '-')}",
            dataset_name=f"suite {suite['name']}, version {suite['version']}",
            metric_type=row.replace(" ", "_"),
            metric_name=row,
            metric_value=round(100 * interval["value"], 2),
        )


def _values(model: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    whole = {} if model["total"] is None else {"total": model["total"]}
    return {**whole, **model["parts"], **model["dimensions"]}


def _compared_with(metrics: Mapping[str, Any]) -> str:
    """The model that differences are from: the one without any. The lake keeps no order of names."""
    return next(name for name, model in metrics["models"].items() if not model["differences"])


def _body(facts: CardFacts) -> Iterator[str]:
    s = facts.sampling
    size = f"{s['num_frames']} frames of {s['width']} x {s['height']}"
    yield f"# {facts.name}\n"
    steps = f"{s['num_inference_steps']} step{'s' * (s['num_inference_steps'] != 1)}"
    yield f"A text-to-video model of {millions(facts.parameters)} parameters (its U-Net): {size} in {steps}.\n"
    if facts.note:
        yield f"{facts.note}\n"
    yield f"""## Use

```python
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import export_to_video

pipe = DiffusionPipeline.from_pretrained("{facts.repo}", trust_remote_code=True)
pipe.to("cuda" if torch.cuda.is_available() else "cpu")
videos = pipe(
    "your prompt", num_frames={s["num_frames"]}, num_inference_steps={s["num_inference_steps"]},
    guidance_scale={s["guidance_scale"]:g}, decoder="{s["decoder"]}", generator=torch.Generator().manual_seed(0),
).frames
export_to_video(videos[0], "video.mp4", fps=8)
```

The folder brings the code of its classes (`trust_remote_code`); read it before you run it.
"""
    yield from _scores(facts)
    yield from _speed(facts)
    yield "## Where it comes from\n"
    for node in facts.lineage:
        told = ", ".join(f"{key} `{value}`" for key, value in node.facts)
        how = f" ({node.how})" if node.how else ""
        yield f"- {node.kind}: {node.title}{how}{': ' if told else ''}{told}"
    if not facts.lineage:
        yield "The lake that this was published from does not know these weights."
    yield ""
    yield from _limits(facts)


def _scores(facts: CardFacts) -> Iterator[str]:
    yield "## Scores\n"
    if facts.evaluation is None:
        yield "No evaluation of these weights is recorded.\n"
        return
    metrics, name = facts.evaluation
    suite, stamp = metrics["suite"], metrics["stamps"][name]
    first = _compared_with(metrics)
    others = [] if first == name else [first]
    yield (
        f"Suite {suite['name']}, version {suite['version']}: {metrics['prompts']} prompts, {metrics['videos']} videos, "
        f"{stamp['description']}, {', '.join(stamp['precisions'])} on {', '.join(stamp['devices'])}. In brackets 95 % "
        "intervals.\n"
    )
    names = [name, *others]
    yield "| | " + " | ".join(names) + " |"
    yield "| --- |" + " --- |" * len(names)
    own = _values(metrics["models"][name])
    for row in own:
        cells = [_values(metrics["models"][model]).get(row) for model in names]
        yield f"| {row} | " + " | ".join(_words(cell) for cell in cells) + " |"
    yield ""


def _words(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return ""
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _speed(facts: CardFacts) -> Iterator[str]:
    if facts.speed is None:
        return
    rows, device = facts.speed
    yield f"## Speed\n\nSeconds from a prompt to an mp4, on {device}.\n"
    yield "| | seconds a video | of the matrix rate | peak GiB |\n| --- | --- | --- | --- |"
    for name, row in rows.items():
        yield f"| {name} | {row['seconds']:.3g} | {row['mfu']:.0%} | {row['peak_gib']:.2f} |"
    yield ""


def _limits(facts: CardFacts) -> Iterator[str]:
    yield "## Limits\n"
    s = facts.sampling
    size = f"{s['num_frames']} frames of {s['width']} x {s['height']}"
    yield f"- Made for {size}; other sizes and lengths were not measured."
    if facts.evaluation is None:
        yield "- Its quality was not measured."
        return
    metrics, name = facts.evaluation
    model = metrics["models"][name]
    weakest = sorted(model["dimensions"].items(), key=lambda item: float(item[1]["value"]))[:_WEAKEST]
    if weakest:
        yield "- Weakest in " + ", ".join(f"{row} ({100 * v['value']:.1f})" for row, v in weakest) + "."
    worse = [row for row, interval in model["differences"].items() if interval["high"] < 0]
    if worse:
        yield f"- Worse than {_compared_with(metrics)} in {', '.join(worse)} (95 % intervals below 0)."
    if model["failed"]:
        yield f"- {len(model['failed'])} of {metrics['videos']} videos could not be made, and count as the worst."
    if metrics["missing"]:
        yield f"- Not measured: {', '.join(metrics['missing'])}."
    yield "- Scores are of the suite's prompts alone: what it does with others, and its safety, were not measured."
