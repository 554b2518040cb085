"""Scores models on the same prompts and seeds: VBench's form, with intervals and videos."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("evaluate")
