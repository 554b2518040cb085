"""Watching a training: trackers, sample videos, speed, and collapses."""
