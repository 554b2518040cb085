"""Writes the folder that an upload to the Hub takes, with a model card, and checks that it loads."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("publish")
