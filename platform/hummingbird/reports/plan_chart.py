"""The pruning plan as a picture: the U of the U-Net, block by block, kept or dropped."""

from markupsafe import Markup, escape

from hummingbird.reports.report_data import PlanBlock, PlanPicture, PlanStage

_COLUMN, _TALL, _GAP, _LABEL = 36.0, 15.0, 5.0, 26.0


def plan_picture(plan: PlanPicture) -> Markup:
    """Down stages on the left, the middle block below, up stages on the right; widths as the layers'."""
    down = [s for s in plan.stages if s.side == "down"]
    middle = [s for s in plan.stages if s.side == "middle"]
    up = [s for s in plan.stages if s.side == "up"]
    widest = max((b.width for s in plan.stages for b in s.blocks), default=1)
    depths = max((s.level for s in plan.stages), default=0)
    levels = {
        level: max((len(s.blocks) for s in [*down, *up] if s.level == level), default=0)
        for level in range(depths + 1)
    }
    tops, y = {}, 30.0
    for level, blocks in levels.items():
        tops[level] = y
        y += blocks * (_TALL + _GAP) + _LABEL
    width = 720.0
    span = 250.0
    body = [
        _words(span / 2 + 10, 16, "down", "strong"),
        _words(width - span / 2 - 10, 16, "up", "strong"),
    ]
    for stage in down:
        body.append(_stage(stage, 10 + _indent(stage), tops[stage.level], span, widest))
    for stage in up:
        body.append(_stage(stage, width - span - 10 - _indent(stage), tops[stage.level], span, widest))
    for level in levels:
        # the skip connection from a down stage to the up stage of the same size
        if any(s.level == level for s in down) and any(s.level == level for s in up):
            middle_y = tops[level] + levels[level] * (_TALL + _GAP) / 2
            indent = _COLUMN * level
            body.append(
                f'<path d="M {span + 14 + indent:.0f} {middle_y:.0f} H {width - span - 20 - indent:.0f}" '
                f'class="skip" marker-end="url(#head)"/>'
            )
    for stage in middle:
        body.append(_stage(stage, width / 2 - span / 2, y, span, widest))
    height = y + sum(len(s.blocks) for s in middle) * (_TALL + _GAP) + (_LABEL if middle else 0)
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" class="head"/></marker></defs>'
    )
    return Markup(
        f'<svg class="chart plan" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="pruning plan">{head}{"".join(body)}</svg>'
    )


def _indent(stage: PlanStage) -> float:
    return _COLUMN * stage.level


def _words(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="middle">{escape(text)}</text>'


def _stage(stage: PlanStage, x: float, y: float, span: float, widest: int) -> str:
    parts = [_block(b, x, y + i * (_TALL + _GAP), span, widest) for i, b in enumerate(stage.blocks)]
    kept = sum(b.kept for b in stage.blocks)
    width = stage.blocks[0].width if stage.blocks else 0
    label = f"width {width}, {kept} of {len(stage.blocks)} kept"
    parts.append(_words(x + span / 2, y + len(stage.blocks) * (_TALL + _GAP) + 9, label, "small"))
    return "".join(parts)


def _block(block: PlanBlock, x: float, y: float, span: float, widest: int) -> str:
    wide = span * (0.35 + 0.65 * block.width / widest)
    x += (span - wide) / 2
    state = ("partly" if block.reductions else "kept") if block.kept else "dropped"
    words = [{"partly": "kept in part"}.get(state, state), f"width {block.width}"]
    words += block.reductions or (["attention"] if block.attention else [])
    hint = escape(f"{block.name}: {', '.join(words)}")
    drawn = f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{_TALL}" rx="4" class="block {state}">'
    drawn += f"<title>{hint}</title></rect>"
    text = f"{block.name}: {_short(block.reductions)}" if state == "partly" else block.name
    name = f'<text x="{x + wide / 2:.1f}" y="{y + 11:.1f}" class="tiny on-{state}" text-anchor="middle">'
    return drawn + name + f"{escape(text)}</text>"


def _short(reductions: tuple[str, ...]) -> str:
    """What went, as far as it fits into a block; all of it stands in the block's hint."""
    return reductions[0] if len(reductions) == 1 else f"{len(reductions)} parts less"
