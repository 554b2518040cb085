"""Distils the guided teacher into a student: output and features."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("distill")
