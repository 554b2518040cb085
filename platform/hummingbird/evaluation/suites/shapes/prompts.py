"""Evaluation prompts of the shapes world: seeded, balanced over attributes, each with a seed of its own."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hummingbird.shapes.scene import Attributes, Scene, caption, parse_caption, sample_scene

_CANDIDATES = 48  # drawn for each prompt; the one whose attributes are rarest so far is taken


@dataclass(frozen=True)
class Prompt:
    """A prompt, the attributes it states, and the seed that every model uses for it."""

    index: int
    text: str
    seed: int
    attributes: Attributes


def evaluation_prompts(count: int, seed: int) -> list[Prompt]:
    """``count`` distinct prompts, of one object and of two in turn, the same for the same arguments.

    Shapes, colors, motions, backgrounds and relations appear about equally often. Raises ValueError where
    ``count`` is below 2, as some dimensions need prompts of two objects.
    """
    if count < 2:
        raise ValueError(f"evaluation needs at least 2 prompts (one object, two objects), not {count}")
    rng = np.random.default_rng(seed)
    used: set[str] = set()
    seen: Counter[str] = Counter()
    prompts = []
    for index in range(count):
        scenes = [sample_scene(rng, objects=1 + index % 2) for _ in range(_CANDIDATES)]
        fresh = {caption(s): s for s in scenes if caption(s) not in used}
        if not fresh:
            raise ValueError(f"no distinct prompts left after {index}: ask for fewer than {count}")
        text = min(fresh, key=lambda t: _commonness(fresh[t], seen))
        attributes = parse_caption(text)
        assert attributes is not None, text
        used.add(text)
        seen.update(_names(fresh[text]))
        prompts.append(Prompt(index, text, int(rng.integers(2**31)), attributes))
    return prompts


def _names(scene: Scene) -> list[str]:
    """The attributes that are balanced, shapes, colors and motions within prompts of as many objects."""
    count = len(scene.objects)
    names = [f"{count} {name}" for thing in scene.objects for name in (thing.shape, thing.color)]
    names += [f"{count} {scene.motion}", scene.background]
    return names + ([scene.relation] if scene.relation else [])


def _commonness(scene: Scene, seen: Counter[str]) -> int:
    # Squares, so that one attribute that is far ahead weighs more than several slightly ahead.
    return sum(seen[name] ** 2 for name in _names(scene))
