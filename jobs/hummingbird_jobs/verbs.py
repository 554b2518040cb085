"""The table of verbs: one command line, whether called as ``hummingbird VERB`` or as ``jobs/VERB.py``."""

import argparse
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import hummingbird
from hummingbird.config.command_line import BAD_INPUT, run_verb
from hummingbird.config.settings import Settings

from hummingbird_jobs.recipes import load_recipe, recipe_names

PROGRAM = "hummingbird"

_TRAINING = {
    "--teacher": "models.teacher",
    "--student": "models.student",
    "--cache": "training.cache",
}


@dataclass(frozen=True)
class Verb:
    """A verb as a command.

    Attributes:
        description: for ``--help``; its first sentence stands in the list of verbs.
        function: ``module:name``, imported when it runs. It gets the settings, where ``takes_arguments`` the parsed
            arguments too, and returns the path of ``result.json``, or None.
        flags: shortcuts to settings.
        sections: sections of the settings that ``--help`` explains; none: the verb's own.
        arguments: ``module:name`` of what adds arguments of its own to a parser.
        kinds: verbs of their own behind a first word.
    """

    description: str
    function: str
    flags: Mapping[str, str] = field(default_factory=dict)
    sections: tuple[str, ...] | None = None
    arguments: str | None = None
    takes_arguments: bool = False
    kinds: Mapping[str, "Verb"] = field(default_factory=dict)

    def call(self, settings: Settings, args: argparse.Namespace | None = None) -> Any:
        """Runs it in this process."""
        function = _imported(self.function)
        return function(settings, args) if self.takes_arguments else function(settings)


VERBS: dict[str, Verb] = {
    "line": Verb(
        "Runs a recipe: the whole line, verb by verb, each a run of its own that can be taken up again.",
        "hummingbird_jobs.line:line",
        sections=("line",),
        arguments="hummingbird_jobs.line:add_line_arguments",
        takes_arguments=True,
    ),
    "doctor": Verb(
        "Looks at what a recipe needs before any hour is spent: files and their tensors, licences, GPUs and memory, "
        "disk, storage, catalog, versions. A line a finding; exit code 1 where something is missing.",
        "hummingbird_jobs.doctor.verb:doctor",
        sections=(),
        takes_arguments=True,
    ),
    "import_checkpoint": Verb(
        "Imports a published checkpoint (VideoCrafter2, T2V-Turbo, ModelScope) into a pipeline folder in safetensors.",
        "hummingbird.importing.import_checkpoint:import_checkpoint",
        {
            "--format": "import_checkpoint.format",
            "--checkpoint": "import_checkpoint.checkpoint",
            "--licence": "import_checkpoint.licence",
            "--source": "import_checkpoint.source",
            "--tokenizer": "import_checkpoint.tokenizer",
        },
    ),
    "footage": Verb(
        "Draws raw footage of the small world, with the truth about it.", "hummingbird_jobs.mains:footage"
    ),
    "curate": Verb(
        "Curates raw video (a folder, glob, URI or manifest): clips with scores, verdicts and captions in the lake, "
        "and a page to review them.",
        "hummingbird_jobs.mains:curate",
        {"--source": "curate.source", "--limit": "curate.limit"},
    ),
    "encode": Verb(
        "Encodes a snapshot's kept clips: latents and text embeddings, cached for training.",
        "hummingbird_data.encode:encode",
        {"--snapshot": "encode.snapshot"},
    ),
    "decoder": Verb(
        "Distils a small decoder for a pipeline's autoencoder, and says how well and how fast it decodes.",
        "hummingbird.training.decoder:distil_decoder",
        {"--model": "decoder.model", "--cache": "training.cache", "--steps": "decoder.steps"},
        sections=("decoder", "training", "models"),
    ),
    "plan": Verb(
        "Says what a plan costs and where it fits; with a budget, measures what matters and makes a plan.",
        "hummingbird_jobs.mains:plan",
        {
            "--model": "plan.model",
            "--plan": "plan.plan",
            "--method": "plan.method",
            "--gpus": "plan.gpus",
            "--gpu-memory": "plan.gpu_memory",
            "--frames": "plan.num_frames",
            "--height": "plan.height",
            "--width": "plan.width",
        },
        arguments="hummingbird_jobs.mains:add_plan_arguments",
        takes_arguments=True,
    ),
    "prune": Verb(
        "Prunes a teacher by a plan; the student starts from the teacher's weights.",
        "hummingbird.pruning.prune:prune",
        {"--teacher": "models.teacher", "--plan": "prune.plan"},
    ),
    "distill": Verb(
        "Distils the guided teacher into a student: output and features.",
        "hummingbird.training.distill:distill",
        {**_TRAINING, "--steps": "distill.steps"},
        sections=("distill", "training", "models"),
    ),
    "feedback": Verb(
        "Makes a few-step model of a student: consistency distillation with an image and a video reward.",
        "hummingbird.training.feedback:feedback",
        {**_TRAINING, "--steps": "feedback.steps"},
        sections=("feedback", "training", "models"),
    ),
    "customize": Verb(
        "Makes a style of a user's own clips: curated, encoded, and trained into an adapter that the model loads.",
        "hummingbird_jobs.customize:customize",
        {
            "--clips": "customize.clips",
            "--name": "customize.name",
            "--trigger": "customize.trigger",
            "--teacher": "models.teacher",
            "--student": "models.student",
        },
        sections=("customize", "training", "models"),
    ),
    "evaluate": Verb(
        "Scores models on the same prompts and seeds: VBench's form, with intervals and videos.",
        "hummingbird_jobs.mains:evaluate",
        {"--prompts": "evaluate.prompts", "--teacher": "models.teacher", "--student": "models.student"},
    ),
    "compile": Verb(
        "Compiles a model for this machine: a package that a server loads in seconds.",
        "hummingbird.compiling.compile:compile_model",
        {"--model": "compile.model"},
    ),
    "export": Verb(
        "Exports a model to ONNX and OpenVINO, runs both on this CPU and compares them with the eager model.",
        "hummingbird.compiling.export:export_model",
        {"--model": "export.model"},
    ),
    "serve": Verb(
        "Serves the video API and the page until Ctrl-C; compiles the model first where that has not been done.",
        "hummingbird_serve.app:serve_until_interrupted",
        {"--model": "serve.model", "--host": "serve.host", "--port": "serve.port"},
    ),
    "benchmark": Verb(
        "Times models side by side in one run: teacher and student, eager and compiled, from a prompt to an mp4.\n\n"
        "With a first word:\n"
        "unet: the U-Net beside diffusers' on the same weights, a forward pass and a training step.\n"
        "plans: the paper's cuts beside the planner's, distilled and judged in the shapes world.\n"
        "curate: curation on Ray with one and more workers, and as a plain loop over the same functions.\n"
        "serve: a server on loopback under load, against the same package called without one.",
        "hummingbird.benchmarks.videos:benchmark",
        {
            "--repeats": "benchmark.repeats",
            "--teacher": "models.teacher",
            "--student": "benchmark.student",
        },
        kinds={
            "unet": Verb(
                "The U-Net beside diffusers' on the same weights, a forward pass and a training step.",
                "hummingbird.benchmarks.unet:unet_benchmark",
                {
                    "--repeats": "unet_benchmark.repeats",
                    "--device": "unet_benchmark.device",
                    "--folder": "unet_benchmark.folder",
                },
                sections=("unet_benchmark",),
            ),
            "plans": Verb(
                "The paper's cuts beside the planner's, distilled and judged in the shapes world.",
                "hummingbird.benchmarks.plans:plan_benchmark",
                {
                    "--folder": "plan_benchmark.folder",
                    "--device": "plan_benchmark.device",
                    "--workers": "plan_benchmark.workers",
                    "--minutes": "plan_benchmark.minutes",
                    "--teacher": "models.teacher",
                },
                sections=("plan_benchmark",),
            ),
            "curate": Verb(
                "Curation on Ray with one and more workers, and as a plain loop over the same functions.",
                "hummingbird.benchmarks.curation:curate_benchmark",
                {"--files": "curate_benchmark.files"},
                sections=("curate_benchmark", "curate"),
            ),
            "serve": Verb(
                "A server on loopback under load, against the same package called without one.",
                "hummingbird.benchmarks.serving:serve_benchmark",
                {"--model": "serve.model", "--videos": "serve_benchmark.videos"},
                sections=("serve_benchmark", "serve"),
            ),
        },
    ),
    "publish": Verb(
        "Writes the folder that an upload to the Hub takes, with a model card from results, and checks that it loads.",
        "hummingbird.reports.publish:publish",
        {"--model": "publish.model", "--repo": "publish.repo"},
    ),
    "lake": Verb(
        "Prints a table of the lake as JSON lines.\n\n"
        "With a first word:\n"
        "lineage MODEL: what a model was made of, down to the clips.\n"
        "diff BEFORE AFTER: what became of the clips from one snapshot to another.\n"
        "compact: the rows of all tables in as few files as they need.\n"
        "expire: snapshots go that no run and no model names, but for the newest.\n"
        "orphans [--delete]: media files that no row of any snapshot names.",
        "hummingbird_jobs.mains:lake",
        arguments="hummingbird_jobs.mains:add_lake_arguments",
        takes_arguments=True,
        kinds={
            name: Verb(
                description,
                f"hummingbird_jobs.lake_verbs:{name}",
                sections=(),
                arguments=f"hummingbird_jobs.lake_verbs:add_{name}_arguments" if arguments else None,
                takes_arguments=arguments,
            )
            for name, arguments, description in (
                (
                    "lineage",
                    True,
                    "What a model was made of, model by model, then the clips it learned from.",
                ),
                ("diff", True, "What became of the clips from one snapshot to another."),
                ("compact", False, "Writes the rows of all tables into as few files as they need."),
                ("expire", False, "Takes snapshots away that no run and no model names, but for the newest."),
                ("orphans", True, "Lists media files that no row of any snapshot names, or deletes them."),
            )
        },
    ),
    "pretrain": Verb(
        "Trains one of the shapes world's small models and ships it with the package.",
        "hummingbird.pretraining.pretrain:pretrain",
        {"--part": "pretrain.part", "--minutes": "pretrain.minutes"},
    ),
}


def run(name: str, argv: Sequence[str] | None = None, program: str | None = None) -> NoReturn:
    """Runs a verb from its command line and exits, as `run_verb` says.

    Args:
        name: one of `VERBS`.
        argv: its arguments; none: those of the process.
        program: what the usage line calls it; none: ``jobs/NAME.py``.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    program, verb = program or f"jobs/{name}.py", VERBS[name]
    if words[:1] and words[0] in verb.kinds:
        program, verb, words = f"{program} {words[0]}", verb.kinds[words[0]], words[1:]
    else:
        for before, word in pairwise(words):
            if word in verb.kinds and not before.startswith("-"):
                _refuse(f"{word} comes first: {program} {word} [OPTIONS]")

    def arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--recipe",
            metavar="NAME",
            help=f"settings of a whole line: {', '.join(recipe_names())}, or a YAML file",
        )
        if verb.arguments is not None:
            _imported(verb.arguments)(parser)

    def defaults(args: argparse.Namespace) -> Mapping[str, Any]:
        return {} if args.recipe is None else load_recipe(args.recipe)

    def main(settings: Settings, args: argparse.Namespace) -> Path | None:
        result: Path | None = verb.call(settings, args)
        return result

    run_verb(
        name,
        verb.description,
        main,
        verb.flags,
        sections=verb.sections,
        arguments=arguments,
        defaults=defaults,
        argv=words,
        program=program,
    )


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The command ``hummingbird VERB [OPTIONS]``."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--version"]:
        print(hummingbird.__version__)
        sys.exit(0)
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        sys.exit(0 if words else BAD_INPUT)
    if words[0] == "submit":
        _imported("hummingbird_jobs.submission:main")(words[1:])
    if words[0] not in VERBS:
        close = difflib.get_close_matches(words[0].replace("-", "_"), VERBS, n=1, cutoff=0.5)
        instead = f"did you mean '{close[0]}'?" if close else f"{PROGRAM} --help lists them"
        _refuse(f"there is no verb '{words[0]}'; {instead}")
    run(words[0], words[1:], f"{PROGRAM} {words[0]}")


def help_text() -> str:
    """What ``hummingbird --help`` prints."""
    wide = max(map(len, VERBS)) + 2
    lines = (f"  {name:{wide}}{verb.description.splitlines()[0]}" for name, verb in VERBS.items())
    return "\n".join(
        [
            f"usage: {PROGRAM} VERB [OPTIONS] [section.key=value ...]",
            "",
            *lines,
            f"  {'submit':{wide}}Runs any of these as a job of a Ray cluster: {PROGRAM} submit VERB [OPTIONS].",
            "",
            f"{PROGRAM} VERB --help says more.",
        ]
    )


def _imported(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), attribute)
    return function


def _refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
