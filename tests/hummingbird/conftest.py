"""A tiny world to train in."""

from tiny_training import make_job, tiny, tiny_rewards, tiny_teacher, write_cache

__all__ = ["make_job", "tiny", "tiny_rewards", "tiny_teacher", "write_cache"]
