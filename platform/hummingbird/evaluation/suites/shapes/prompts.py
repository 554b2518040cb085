"""Evaluation prompts of the shapes world: seeded, balanced over attributes, each with a seed of its own."""

from collections import Counter

import numpy as np

from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.base import EvaluationPrompt
from hummingbird.shapes.scene import Scene, caption, sample_scene

_CANDIDATES = 48  # drawn for each prompt; the one whose attributes are rarest so far is taken


def draw_prompts(count: int, seed: int) -> list[EvaluationPrompt]:
    """``count`` distinct prompts, of one object and of two in turn, the same for the same arguments.

    Shapes, colors, motions, backgrounds and relations appear about equally often.

    Raises:
        InputError: ``count`` is below 2, as some dimensions need prompts of two objects, or more than there are.
    """
    if count < 2:
        raise InputError(f"the suite shapes needs at least 2 prompts (one object, two objects), not {count}")
    rng = np.random.default_rng(seed)
    used: set[str] = set()
    seen: Counter[str] = Counter()
    prompts = []
    for index in range(count):
        scenes = [sample_scene(rng, objects=1 + index % 2) for _ in range(_CANDIDATES)]
        fresh = {caption(s): s for s in scenes if caption(s) not in used}
        if not fresh:
            raise InputError(f"no distinct prompts left after {index}: ask for fewer than {count}")
        text = min(fresh, key=lambda t: _commonness(fresh[t], seen))
        used.add(text)
        seen.update(_names(fresh[text]))
        prompts.append(EvaluationPrompt(f"{index:04d}", text, (int(rng.integers(2**31)),)))
    return prompts


def _names(scene: Scene) -> list[str]:
    """The attributes that are balanced, shapes, colors and motions within prompts of as many objects."""
    count = len(scene.objects)
    names = [
        f"{count} {name}"
        for scene_object in scene.objects
        for name in (scene_object.shape, scene_object.color)
    ]
    names += [f"{count} {scene.motion}", scene.background]
    return names + ([scene.relation] if scene.relation else [])


def _commonness(scene: Scene, seen: Counter[str]) -> int:
    # Squares, so that one attribute that is far ahead weighs more than several slightly ahead.
    return sum(seen[name] ** 2 for name in _names(scene))
