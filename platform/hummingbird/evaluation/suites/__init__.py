"""Suites: prompts, dimensions and what measures a video."""
