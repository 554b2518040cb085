"""The small world in which truth is known."""
