"""Rewards: what scores the videos of a student in training, differentiably."""

REWARDS = {
    "shapes_image": "hummingbird.training.rewards.shapes:ShapesImageReward",
    "shapes_video": "hummingbird.training.rewards.shapes:ShapesVideoReward",
}
"""Short names for ``feedback.rewards``; others are named ``module:Class``."""
