"""Evaluation: the score in VBench's form, the judge's metrics behind it, speed end to end, and the report."""
