"""Near copies of clips."""
