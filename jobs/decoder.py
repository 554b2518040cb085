"""Distils a small decoder for a pipeline's autoencoder, and says how well and how fast it decodes."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("decoder")
