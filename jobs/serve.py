"""Serves the video API and the page until Ctrl-C; compiles the model first where that has not been done."""

import argparse

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def main(settings: Settings, given: argparse.Namespace) -> None:
    from hummingbird_serve.app import serve_until_interrupted

    serve_until_interrupted(settings)


if __name__ == "__main__":
    run_verb(
        "serve", __doc__, main, {"--model": "serve.model", "--host": "serve.host", "--port": "serve.port"}
    )
