"""Trains one of the shapes world's small models and ships it with the package."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("pretrain")
