"""The Gradio page: a thin client of the API, whose work is done in the browser by ``page.js``.

Gradio draws the form and the frame. Its events run scripts alone (``fn`` is None): no video passes through it, so that
a page may be closed, reloaded or opened elsewhere without touching what is being made.
"""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from hummingbird_serve.requests import ServedModel

HERE = Path(__file__).parent
SCRIPTS = ("page_client.js", "page_card.js", "page.js")
"""Run in this order, as one script."""

STAGE = """
<section id="stage" aria-label="The video">
  <p id="verdict" class="verdict"></p>
  <div id="cards"></div>
  <p id="said" class="unseen" role="status" aria-live="polite"></p>
</section>
"""
GALLERY = """
<section id="gallery" aria-labelledby="gallery-title">
  <h2 id="gallery-title">Your videos</h2>
  <p class="note" id="gallery-note"></p>
  <ul id="thumbs"></ul>
</section>
"""


def build_page(
    models: Mapping[str, ServedModel],
    examples: Sequence[str],
    max_prompt_characters: int,
    login: bool = False,
) -> gr.Blocks:
    """The page, to be mounted on the API's application.

    Args:
        models: the served models: the first is the student, the second, if any, the teacher.
        examples: prompts to start from.
        max_prompt_characters: longest prompt.
        login: whether the server asks for a key, so that a browser can log out.
    """
    student, *others = models.values()
    teacher = others[0] if others else None
    page = gr.Blocks(title="Hummingbird", analytics_enabled=False)
    with page:
        gr.HTML(_header(student, login))
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300):
                prompt = gr.Textbox(
                    label="Prompt",
                    value=examples[0] if examples else "",
                    lines=3,
                    max_lines=6,
                    max_length=max_prompt_characters,
                    info="Shift and Enter makes the video",
                    elem_id="prompt",
                )
                gr.HTML('<p id="tokens" class="note"></p>', elem_classes="tight")
                with gr.Row():
                    # A number field cannot be empty, which here means any.
                    seed = gr.Textbox(
                        label="Seed", placeholder="random", max_length=10, min_width=120, elem_id="seed"
                    )
                    steps = gr.Slider(
                        label="Steps",
                        minimum=1,
                        maximum=student.max_steps,
                        step=1,
                        value=student.steps,
                        min_width=160,
                        elem_id="steps",
                    )
                gr.HTML('<div id="choices"></div>', elem_classes="tight")
                compare = gr.Checkbox(
                    label=f"The teacher's beside it ({teacher.steps} steps)" if teacher else "",
                    value=False,
                    visible=teacher is not None,
                    elem_id="compare",
                )
                go = gr.Button("Make the video", variant="primary", elem_id="go")
                gr.HTML('<p id="problem" class="problem" role="alert"></p>', elem_classes="tight")
                if examples:
                    samples = gr.Dataset(
                        label="Examples",
                        components=[gr.Textbox(visible=False)],
                        samples=[[example] for example in examples],
                        elem_id="examples",
                    )
            with gr.Column(scale=6, min_width=300):
                gr.HTML(STAGE, js_on_load=_script(student, teacher), elem_classes="flush")
        gr.HTML(GALLERY, elem_classes="flush")
        own: dict[str, Any] = {"fn": None, "queue": False, "api_visibility": "private"}
        make = "(...fields) => { window.hummingbird.make(...fields); return []; }"
        gr.on([go.click, prompt.submit], inputs=[prompt, seed, steps, compare], js=make, **own)
        count = "(prompt) => { window.hummingbird.count(prompt); return []; }"
        gr.on([page.load, prompt.change], inputs=prompt, js=count, **own)
        if examples:
            samples.click(inputs=samples, outputs=prompt, js="(row) => row[0]", **own)
    return page


def mount_page(app: Any, page: gr.Blocks) -> Any:
    """Mounts the page at the root of the application, behind its guard."""
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        css=_read("page.css"),
        theme=_theme(),
        max_file_size="1kb",  # the page takes no files
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
    )


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _script(student: ServedModel, teacher: ServedModel | None) -> str:
    names = {"student": student.name, "teacher": teacher.name if teacher else None}
    return "\n".join([f"const SERVED = {json.dumps(names)};", *map(_read, SCRIPTS)])


def _header(student: ServedModel, login: bool) -> str:
    facts = [
        html.escape(student.name),
        f"{student.parameters / 1e6:.1f} M parameters",
        f"{student.num_frames} frames of {student.width} × {student.height}",
        "compiled" if student.compiled else "not compiled",
    ]
    leave = (
        '<form method="post" action="/logout"><button class="small">Log out</button></form>' if login else ""
    )
    return (
        '<header class="head"><h1>Hummingbird</h1><p>Text to video in a few steps.</p>'
        f'<p class="facts">{" · ".join(facts)} · <a href="/docs">API</a></p>{leave}</header>'
    )


def _theme() -> gr.themes.Base:
    # Fonts of the system: the page asks no other server for anything.
    fonts = ("system-ui", "-apple-system", "Segoe UI", "sans-serif")
    theme = gr.themes.Base(
        primary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=fonts,
        font_mono=("ui-monospace", "monospace"),
    )
    # Of a contrast of 4.5 at least, which Gradio's own are not.
    return theme.set(
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        input_placeholder_color="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color_dark="*neutral_400",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
    )
