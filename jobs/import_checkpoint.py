"""Imports a published checkpoint (VideoCrafter2, T2V-Turbo, ModelScope) into a pipeline folder in safetensors."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("import_checkpoint")
