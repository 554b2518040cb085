"""Captions: engines, prompts and checks."""
