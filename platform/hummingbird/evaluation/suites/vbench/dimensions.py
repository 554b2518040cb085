"""VBench's published table (arXiv 2311.17982): minimum, maximum, weight and part of every dimension."""

from dataclasses import dataclass

from hummingbird.evaluation.score import Dimension

FLICKERING = "temporal flickering"


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
    _similarity("appearance style", 0.0009, 0.2855),
    _similarity("temporal style", 0.0, 0.364),
    _similarity("overall consistency", 0.0, 0.364),
)  # fmt: skip


@dataclass(frozen=True)
class Needs:
    """What VBench measures a dimension with, and whether it is defined on VBench's own prompts alone."""

    model: str
    on_lists: bool = False


NEEDS = {
    "subject consistency": Needs("DINO ViT-B/16"),
    "background consistency": Needs("CLIP ViT-B/32"),
    "motion smoothness": Needs("the frame interpolation model AMT-S"),
    "dynamic degree": Needs("the optical flow model RAFT"),
    "aesthetic quality": Needs("the LAION aesthetic head on CLIP ViT-L/14"),
    "imaging quality": Needs("MUSIQ"),
    "object class": Needs("GRiT", on_lists=True),
    "multiple objects": Needs("GRiT", on_lists=True),
    "human action": Needs("UMT-L", on_lists=True),
    "color": Needs("GRiT", on_lists=True),
    "spatial relationship": Needs("GRiT", on_lists=True),
    "scene": Needs("Tag2Text", on_lists=True),
    "appearance style": Needs("CLIP ViT-B/32", on_lists=True),
    "temporal style": Needs("ViCLIP", on_lists=True),
    "overall consistency": Needs("ViCLIP"),
}
"""By dimension; temporal flickering alone needs neither."""
