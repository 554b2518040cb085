"""What published rewards of full size need, as the planner reckons with them before their files are there.

Their licences are those of the files, which are read from there.
"""

from hummingbird.training.rewards.base import RewardDeclaration, TransformerMemory

HPS_V2_1 = RewardDeclaration(
    frames=5,
    drawn="random",
    # OpenCLIP's ViT-H-14, which scores single frames of 224 pixels: 16 x 16 patches and the class token.
    memory=TransformerMemory(parameters=984_929_793, inputs=5, sequence=257, layers=32, width=1280),
)
"""Human Preference Score v2.1 (arXiv 2306.09341)."""

INTERNVIDEO2_1B = RewardDeclaration(
    frames=8,
    drawn="even",
    # A vision transformer of 1 B on 8 frames of 224 pixels at once, and a text encoder.
    memory=TransformerMemory(parameters=1_350_000_000, inputs=1, sequence=2049, layers=40, width=1408),
)
"""InternVideo2-Stage2-1B (arXiv 2403.15377)."""

PUBLISHED = {"HPSv2.1": HPS_V2_1, "InternVideo2-1B": INTERNVIDEO2_1B}
"""By name; the paper trains with both."""
