"""Exports a model to ONNX and OpenVINO, for runtimes without PyTorch."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("export")
