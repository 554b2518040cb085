"""Prints a table of the lake as JSON lines; lineage, diff, compact, expire and orphans are first words of their own."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("lake")
