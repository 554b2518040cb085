"""Looks at everything that a recipe needs before any hour is spent on it."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("doctor")
