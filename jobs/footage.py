"""Draws raw footage of the small world, with the truth about it."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("footage")
