"""From scores to verdicts."""
