"""Serves the video API and the page until Ctrl-C; compiles the model first where that has not been done."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("serve")
