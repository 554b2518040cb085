"""Runs a recipe: the whole line, verb by verb."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("line")
