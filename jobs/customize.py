"""Makes a style of a user's own clips: an adapter that a model loads."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("customize")
