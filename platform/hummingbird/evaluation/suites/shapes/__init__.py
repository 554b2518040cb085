"""The suite of the shapes world: its prompts, and a judge's measures of its videos."""
