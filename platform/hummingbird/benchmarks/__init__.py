"""Benchmarks: models and plans timed and scored side by side in one run."""
