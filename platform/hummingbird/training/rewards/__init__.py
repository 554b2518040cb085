"""Rewards: what scores the videos of a student in training, differentiably."""

REWARDS = {
    "image_text": "hummingbird.training.rewards.text:ImageTextReward",
    "video_text": "hummingbird.training.rewards.text:VideoTextReward",
    "quality": "hummingbird.training.rewards.quality:QualityReward",
    "motion": "hummingbird.training.rewards.motion:MotionReward",
    "consistency": "hummingbird.training.rewards.motion:ConsistencyReward",
    "shapes_image": "hummingbird.training.rewards.shapes:ShapesImageReward",
    "shapes_video": "hummingbird.training.rewards.shapes:ShapesVideoReward",
}
"""Short names for ``feedback.rewards``; others are named ``module:Class``."""
