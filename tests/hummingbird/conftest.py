"""A tiny world to train in."""

from published_rewards import tiny_clip, tiny_xclip
from tiny_training import make_job, tiny, tiny_rewards, tiny_teacher, write_cache

__all__ = ["make_job", "tiny", "tiny_clip", "tiny_rewards", "tiny_teacher", "tiny_xclip", "write_cache"]
