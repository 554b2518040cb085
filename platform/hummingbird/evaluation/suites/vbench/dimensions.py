"""VBench's published table (arXiv 2311.17982): minimum, maximum, weight and part of every dimension."""

from dataclasses import dataclass

from hummingbird.evaluation.score import Dimension

FLICKERING, STYLE = "temporal flickering", "appearance style"


def _similarity(name: str, minimum: float, maximum: float) -> Dimension:
    """A dimension whose raw value is the cosine of two embeddings."""
    return Dimension(name, minimum, maximum, 1.0, "semantic", lowest=-1.0)


VBENCH = (
    Dimension("subject consistency", 0.1462, 1.0, 1.0, "quality"),
    Dimension("background consistency", 0.2615, 1.0, 1.0, "quality"),
    Dimension(
        FLICKERING, 0.6293, 1.0, 1.0, "quality",
        "1 - mean absolute difference of neighboring frames over 255, all pixels alike",
    ),
    Dimension("motion smoothness", 0.706, 0.9975, 1.0, "quality"),
    Dimension("dynamic degree", 0.0, 1.0, 0.5, "quality"),
    Dimension("aesthetic quality", 0.0, 1.0, 1.0, "quality"),
    Dimension("imaging quality", 0.0, 1.0, 1.0, "quality"),
    Dimension("object class", 0.0, 1.0, 1.0, "semantic"),
    Dimension("multiple objects", 0.0, 1.0, 1.0, "semantic"),
    Dimension("human action", 0.0, 1.0, 1.0, "semantic"),
    Dimension("color", 0.0, 1.0, 1.0, "semantic"),
    Dimension("spatial relationship", 0.0, 1.0, 1.0, "semantic"),
    Dimension("scene", 0.0, 0.8222, 1.0, "semantic"),
    _similarity(STYLE, 0.0009, 0.2855),
    _similarity("temporal style", 0.0, 0.364),
    _similarity("overall consistency", 0.0, 0.364),
)  # fmt: skip


@dataclass(frozen=True)
class Needs:
    """What VBench measures a dimension with.

    Attributes:
        model: its name.
        setting: which settings of the suite bring it, for people.
        on_lists: whether the dimension is defined on VBench's own prompts alone.
        auxiliary: whether its prompts say in ``auxiliary_info`` what is to be seen.
    """

    model: str
    setting: str = "VBench's own package has it (official)"
    on_lists: bool = False
    auxiliary: bool = False


def _listed(model: str) -> Needs:
    return Needs(model, on_lists=True, auxiliary=True)


_VICLIP = "name its file (viclip) and a CLIP with tokenizer (clip_large)"

NEEDS = {
    "subject consistency": Needs("DINO ViT-B/16", "name its folder (dino)"),
    "background consistency": Needs("CLIP ViT-B/32", "name its folder (clip)"),
    "motion smoothness": Needs("the frame interpolation model AMT-S"),
    "dynamic degree": Needs("the optical flow model RAFT"),
    "aesthetic quality": Needs(
        "LAION's linear head on CLIP ViT-L/14", "name both (aesthetic_head, clip_large)"
    ),
    "imaging quality": Needs("MUSIQ"),
    "object class": _listed("GRiT"),
    "multiple objects": _listed("GRiT"),
    "human action": Needs("UMT-L", on_lists=True),
    "color": _listed("GRiT"),
    "spatial relationship": _listed("GRiT"),
    "scene": _listed("Tag2Text"),
    STYLE: Needs("CLIP ViT-B/32", "name its folder (clip)", on_lists=True, auxiliary=True),
    "temporal style": Needs("ViCLIP", _VICLIP, on_lists=True),
    "overall consistency": Needs("ViCLIP", _VICLIP),
}
"""By dimension; temporal flickering alone needs neither."""
