"""A tiny world to train in."""

from tiny_training import tiny, tiny_rewards, tiny_teacher, write_cache

__all__ = ["tiny", "tiny_rewards", "tiny_teacher", "write_cache"]
