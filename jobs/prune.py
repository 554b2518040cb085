"""Prunes a teacher by a plan; the student starts from the teacher's weights."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("prune")
