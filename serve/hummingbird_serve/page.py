"""The Gradio page: a prompt becomes a video, beside it the teacher's on request."""

import html
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from hummingbird.core.scratch import local_copy

from hummingbird_serve.guard import asker_of
from hummingbird_serve.jobs import VideoJobs
from hummingbird_serve.requests import MAX_SEED, APIError, Parse, ServedModel
from hummingbird_serve.videos import Video

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
KEPT_SECONDS = 3600
"""How long Gradio keeps its own copies of the videos it has shown."""


def build_page(
    jobs: VideoJobs,
    models: Mapping[str, ServedModel],
    parse: Parse,
    examples: Sequence[str],
    max_prompt_characters: int,
) -> gr.Blocks:
    """The page, to be mounted on the API's application.

    Args:
        jobs: makes the videos; the page's requests wait in the same queue as the API's.
        models: the served models: the first is the student, the second, if any, the teacher.
        parse: checks the fields of a request.
        examples: prompts to start from.
        max_prompt_characters: longest prompt.
    """
    student, *others = models.values()
    teacher = others[0] if others else None

    async def make(
        prompt: str, seed: float | None, steps: float, compare: bool, request: gr.Request
    ) -> AsyncIterator[list[Any]]:
        asker = asker_of(request.request.scope)
        common: dict[str, Any] = {"prompt": prompt, "seed": int(seed) if seed is not None else None}
        requests = [{**common, "model": student.name, "steps": int(steps)}]
        if compare and teacher is not None:
            requests.append({**common, "model": teacher.name})
        shown: list[Any] = [gr.update(value=None), "", gr.update(value=None), "", ""]
        finished: list[Video] = []
        for index, fields in enumerate(requests):
            try:
                video = await jobs.create(parse(fields), asker)
            except APIError as error:
                raise gr.Error(error.message, title="Not possible", duration=8) from error
            async for _ in jobs.watch(video):
                shown[4] = _bar(video)
                yield shown
            if video.error is not None:
                raise gr.Error(video.error, title="The video could not be made", duration=8)
            if video.status != "completed":  # deleted by another client
                raise gr.Error("The video was deleted.", title="The video could not be made", duration=8)
            finished.append(video)
            shown[2 * index] = str(local_copy(jobs.content(video), unchanging=True))
            shown[2 * index + 1] = _note(video)
            shown[4] = _verdict(finished)
            yield shown

    page = gr.Blocks(title="Hummingbird", analytics_enabled=False, delete_cache=(60, KEPT_SECONDS))
    with page:
        gr.HTML(_header(student))
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                prompt = gr.Textbox(
                    label="Prompt",
                    value=examples[0] if examples else "",
                    lines=3,
                    max_lines=6,
                    max_length=max_prompt_characters,
                    autofocus=True,
                    elem_id="prompt",
                )
                with gr.Row():
                    seed = gr.Number(
                        label="Seed", value=0, precision=0, minimum=0, maximum=MAX_SEED, elem_id="seed"
                    )
                    steps = gr.Slider(
                        label="Steps",
                        minimum=1,
                        maximum=student.max_steps,
                        step=1,
                        value=student.steps,
                        elem_id="steps",
                    )
                compare = gr.Checkbox(
                    label=f"Compare with the teacher ({teacher.steps} steps)" if teacher else "",
                    value=False,
                    visible=teacher is not None,
                    elem_id="compare",
                )
                with gr.Row():
                    go = gr.Button("Make the video", variant="primary", scale=3, elem_id="go")
                    dice = gr.Button("New seed", variant="secondary", scale=1, min_width=100, elem_id="dice")
                if examples:
                    gr.Examples([[example] for example in examples], [prompt], label="Examples")
            with gr.Column(scale=6, min_width=320):
                with gr.Row(equal_height=True):
                    with gr.Column(min_width=240):
                        video, note = _player("Hummingbird", "student")
                    with gr.Column(min_width=240, visible=False) as teacher_side:
                        teacher_video, teacher_note = _player("Teacher", "teacher")
                status = gr.HTML("", elem_id="status")
        outputs = [video, note, teacher_video, teacher_note, status]
        gr.on(
            [go.click, prompt.submit],
            make,
            [prompt, seed, steps, compare],
            outputs,
            concurrency_limit=None,
            show_progress="hidden",
            api_visibility="private",
        )
        dice.click(lambda: random.randrange(MAX_SEED), None, seed, api_visibility="private", queue=False)
        compare.change(
            lambda on: gr.update(visible=on), compare, teacher_side, api_visibility="private", queue=False
        )
    return page


def mount_page(app: Any, page: gr.Blocks) -> Any:
    """Mounts the page at the root of the application, behind its guard."""
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        css=STYLE,
        theme=_theme(),
        max_file_size="1kb",  # the page takes no files
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
    )


def _player(label: str, name: str) -> tuple[gr.Video, gr.HTML]:
    video = gr.Video(
        label=label,
        autoplay=True,
        loop=True,
        interactive=False,
        buttons=["download"],
        elem_id=f"{name}-video",
        elem_classes="player",
    )
    return video, gr.HTML("", elem_id=f"{name}-note")


def _header(student: ServedModel) -> str:
    facts = [
        html.escape(student.name),
        f"{student.parameters / 1e6:.1f} M parameters",
        f"{student.num_frames} frames of {student.width} × {student.height}",
        "compiled" if student.compiled else "not compiled",
    ]
    return (
        '<div class="head"><h1>Hummingbird</h1><p>Text to video in a few steps.</p>'
        f'<p class="facts">{" · ".join(facts)}</p></div>'
    )


def _bar(video: Video) -> str:
    words = {"queued": "waiting", "in_progress": "denoising"}.get(video.status, "")
    label = f"{html.escape(video.request.model)}: {words} {video.progress} %"
    return (
        f'<div class="bar"><i style="width:{max(video.progress, 2)}%"></i></div><p class="doing">{label}</p>'
    )


def _note(video: Video) -> str:
    seconds, request = video.generation_seconds or 0.0, video.request
    return f'<p class="note"><b>{seconds:.2f} s</b> · {request.steps} steps · seed {request.seed}</p>'


def _verdict(finished: Sequence[Video]) -> str:
    if len(finished) < 2 or not finished[0].generation_seconds or not finished[1].generation_seconds:
        return ""
    times = finished[1].generation_seconds / finished[0].generation_seconds
    return f'<p class="verdict">Hummingbird was <b>{times:.0f} times</b> faster, from prompt to mp4.</p>'


def _theme() -> gr.themes.Base:
    # Fonts of the system: the page asks no other server for anything.
    fonts = ("system-ui", "-apple-system", "Segoe UI", "sans-serif")
    return gr.themes.Base(
        primary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=fonts,
        font_mono=("ui-monospace", "monospace"),
    )
