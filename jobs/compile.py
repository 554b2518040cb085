"""Compiles a model for this machine: a package that a server loads in seconds."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def main(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.compiling.compile import compile_model

    return compile_model(settings)


if __name__ == "__main__":
    run_verb("compile", __doc__, main, {"--model": "compile.model"})
