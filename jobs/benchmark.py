"""Times models side by side in one run."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("benchmark")
