"""Encodes a snapshot's kept clips: latents and text embeddings, cached for training."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("encode")
