"""Compiles a model for this machine: a package that a server loads in seconds."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("compile")
