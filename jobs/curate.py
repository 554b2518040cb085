"""Curates raw video (a folder, glob, URI or manifest): clips with scores, verdicts and captions in the lake, and a
page to review them."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("curate")
