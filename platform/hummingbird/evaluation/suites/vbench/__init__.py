"""VBench: its sixteen dimensions, their normalization and weights, and what needs no model of its measures."""
