"""The verbs as commands, and the line that runs them one after the other. Nothing imports it but scripts and tests."""
