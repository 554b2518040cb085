"""Prints a table of the lake as JSON lines, or (orphans) the media files that no row of any snapshot names."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("lake")
