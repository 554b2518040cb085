"""What raw footage holds before anything is drawn: files, shots, scenes, defects, captions."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from hummingbird.config.footage import FootageSettings
from hummingbird.shapes.defects import REASONS
from hummingbird.shapes.scene import Scene, caption, sample_scene

BROKEN = ("truncated", "empty", "text", "cut off", "audio")
_SHORT_SECONDS = (0.5, 0.9)
_CAPTION_KINDS = {"missing": 0.25, "vague": 0.35, "wrong": 0.3, "right": 0.1}
_VAGUE = (
    "untitled", "video", "cool animation", "shapes", "abstract motion background, free download",
    "test render 02", "satisfying video!!", "something moving", "MOV_4471", "look at this",
    "new upload - please like and subscribe", "stock footage, royalty free", "geometry",
    "a colorful shape on a background", "random clips compilation", "my first animation",
)  # fmt: skip


@dataclass(frozen=True)
class ShotPlan:
    """A shot to draw. ``source`` is (file, shot) of the shot that a near copy copies."""

    scene: Scene
    frames: int
    defect: str | None = None
    source: tuple[int, int] | None = None


@dataclass
class FilePlan:
    """A file to write. ``copy_of`` is the number of the file that it copies byte for byte."""

    size: tuple[int, int]
    fps: int
    crf: int
    shots: list[ShotPlan]
    broken: str | None = None
    copy_of: int | None = None
    short: bool = False
    caption: str | None = None
    caption_kind: str = "missing"


def plan_footage(settings: FootageSettings) -> list[FilePlan]:
    """All files in order of name.

    Raises:
        ValueError: too few files for the shares that are asked for.
    """
    rng = np.random.default_rng((settings.seed, 0))
    broken, copies, short = (
        _count(share, settings.files) for share in (settings.broken, settings.copies, settings.short)
    )
    files = [_plan_file(settings, rng) for _ in range(settings.files)]
    order = [int(i) for i in rng.permutation(settings.files)]
    # Copies come after what they copy, so they are drawn from the later half of the names.
    later = [i for i in order if i >= settings.files // 2]
    chosen_copies = later[:copies]
    rest = [i for i in order if i not in chosen_copies]
    chosen_broken, chosen_short = rest[:broken], rest[broken : broken + short]
    normal = sorted(rest[broken + short :])
    used: set[object] = set()
    for number in sorted([*normal, *chosen_short, *chosen_broken]):
        file = files[number]
        file.short = number in chosen_short
        file.shots = _plan_shots(file, settings, rng, used)
    for position, number in enumerate(chosen_broken):
        files[number].broken = BROKEN[position % len(BROKEN)]
    clean = [int(i) for i in rng.permutation([n for n in normal if n < settings.files // 2])[:copies]]
    if len(clean) < copies:
        raise ValueError(
            "too few files for so many exact copies: raise footage.files or lower footage.copies"
        )
    for number, original in zip(chosen_copies, clean, strict=True):
        files[number] = replace(files[original], copy_of=original)
    _plan_defects(files, [n for n in normal if n not in clean], settings, rng)
    for file in files:
        _plan_caption(file, rng)
    return files


def _count(share: float, whole: int) -> int:
    """A share of a whole, in whole things; none only where the share is none."""
    return max(1, round(share * whole)) if share else 0


def _plan_file(settings: FootageSettings, rng: np.random.Generator) -> FilePlan:
    width, height = settings.sizes[int(rng.integers(len(settings.sizes)))]
    fps = settings.fps[int(rng.integers(len(settings.fps)))]
    return FilePlan((width, height), fps, int(rng.integers(15, 22)), [])


def _plan_shots(
    file: FilePlan, settings: FootageSettings, rng: np.random.Generator, used: set[object]
) -> list[ShotPlan]:
    shots: list[ShotPlan] = []
    for _ in range(int(rng.integers(settings.shots[0], settings.shots[1] + 1))):
        seconds = rng.uniform(*(_SHORT_SECONDS if file.short else settings.seconds))
        frames = int(np.ceil(seconds * file.fps))
        while True:
            scene = sample_scene(rng, duration=max(2.0, frames / file.fps))
            key = (scene.background, scene.motion, frozenset((o.color, o.shape) for o in scene.objects))
            if key not in used and (not shots or clearly_different(shots[-1].scene, scene)):
                break
        used.add(key)
        shots.append(ShotPlan(scene, frames))
    return shots


def clearly_different(a: Scene, b: Scene) -> bool:
    """Whether nobody would take a cut from ``a`` to ``b`` for one shot: other texture and other colors."""
    return a.background != b.background and not {o.color for o in a.objects} & {o.color for o in b.objects}


def _plan_defects(
    files: list[FilePlan], numbers: list[int], settings: FootageSettings, rng: np.random.Generator
) -> None:
    """Give shots of the files ``numbers`` their defects, at most one each."""
    places = [(n, i) for n in numbers for i in range(len(files[n].shots))]
    counts = {name: _count(share, len(places)) for name, share in settings.defects.items()}
    unknown = counts.keys() - {*REASONS, "near_copy"}
    if unknown:
        known = ", ".join([*REASONS, "near_copy"])
        raise ValueError(
            f"footage.defects names unknown defects: {', '.join(sorted(unknown))}; known: {known}"
        )
    if sum(counts.values()) > 0.9 * len(places):
        raise ValueError("too few shots for so many defects: raise footage.files or lower footage.defects")
    queue = [places[int(i)] for i in rng.permutation(len(places))]
    near_copies = counts.pop("near_copy", 0)
    for name, count in counts.items():
        for number, index in (queue.pop() for _ in range(count)):
            files[number].shots[index] = replace(files[number].shots[index], defect=name)
    paired: set[tuple[int, int]] = set()  # near copies and what they copy
    for copy in queue:
        if near_copies == 0:
            break
        source = next((s for s in queue if _can_copy(files, s, copy) and not {s, copy} & paired), None)
        if source is not None:
            scene = files[source[0]].shots[source[1]]
            frames = round(scene.frames / files[source[0]].fps * files[copy[0]].fps)
            files[copy[0]].shots[copy[1]] = ShotPlan(scene.scene, frames, "near_copy", source)
            paired |= {source, copy}
            near_copies -= 1
    if near_copies:
        raise ValueError("found no two files for a near copy: raise footage.files or lower footage.defects")


def _can_copy(files: list[FilePlan], source: tuple[int, int], copy: tuple[int, int]) -> bool:
    """Whether the shot at ``copy`` can become a near copy of that at ``source``, in an earlier file."""
    if source[0] >= copy[0]:
        return False
    source_file, copy_file = files[source[0]], files[copy[0]]
    scene = source_file.shots[source[1]].scene
    neighbors = [
        copy_file.shots[i].scene for i in (copy[1] - 1, copy[1] + 1) if 0 <= i < len(copy_file.shots)
    ]
    same_aspect = Fraction(*source_file.size) == Fraction(*copy_file.size)
    return same_aspect and all(clearly_different(scene, neighbor) for neighbor in neighbors)


def _plan_caption(file: FilePlan, rng: np.random.Generator) -> None:
    kind = str(rng.choice(list(_CAPTION_KINDS), p=list(_CAPTION_KINDS.values())))
    sound = [shot.scene for shot in file.shots if shot.defect is None]
    if kind == "right" and (not sound or file.broken or file.short):
        kind = "vague"
    text = None
    if kind == "vague":
        text = str(rng.choice(_VAGUE))
    elif kind == "right":
        text = caption(sound[int(rng.integers(len(sound)))])
    elif kind == "wrong":
        text = caption(_unlike([shot.scene for shot in file.shots], rng))
    file.caption, file.caption_kind = text, kind


def _unlike(scenes: list[Scene], rng: np.random.Generator) -> Scene:
    """A scene that has as few attributes as possible in common with any of ``scenes``."""

    def shared(other: Scene) -> int:
        return sum(
            (other.motion == s.motion)
            + (other.background == s.background)
            + len({o.color for o in other.objects} & {o.color for o in s.objects})
            + len({o.shape for o in other.objects} & {o.shape for o in s.objects})
            for s in scenes
        )

    return min((sample_scene(rng) for _ in range(200)), key=shared)
