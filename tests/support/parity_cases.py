"""The kinds of parity cases: how each is brought in, run, and compared."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn_weights import drawn, drawn_state
from hummingbird.core.errors import InputError
from hummingbird.importing import autoencoder, text, unet
from hummingbird.importing.published.dover import import_dover
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import listed
from hummingbird.models.dover import DOVER
from hummingbird.models.embeddings import guidance_embedding
from hummingbird.models.scheduler import VideoScheduler
from torch import Tensor

TOLERANCE, DOVER_TOLERANCE, RELATIVE_TOLERANCE = 1e-4, 1e-3, 1e-6


@dataclass(frozen=True)
class Case:
    """A reference case: its name, what its JSON says, and the arrays ``in_*`` and ``out_*``."""

    name: str
    about: Mapping[str, Any]
    arrays: Mapping[str, Tensor]

    @property
    def config(self) -> dict[str, Any]:
        """The reference configuration."""
        return dict(self.about["config"])

    def input(self, name: str) -> Tensor:
        """The array ``in_NAME``. Raises InputError where it is missing."""
        if f"in_{name}" not in self.arrays:
            raise InputError(f"case {self.name}: the array in_{name} is missing")
        return self.arrays[f"in_{name}"]


@dataclass(frozen=True)
class Made:
    """Our value for an output, the tolerance, and whether that is relative to the largest expected value."""

    value: Tensor
    tolerance: float
    relative: bool = False

    def difference(self, expected: Tensor) -> float:
        """The largest difference, infinite where shapes differ."""
        if self.value.shape != expected.shape:
            return float("inf")
        largest = float((self.value.double() - expected.double()).abs().max())
        return largest / float(expected.double().abs().max()) if self.relative else largest


Outputs = dict[str, Made]


def load_case(path: Path) -> Case:
    """The case of a JSON file and of the arrays beside it.

    Raises:
        InputError: a file of the two is missing or cannot be read, or is no case.
    """
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            tensors = {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays}
    except (OSError, ValueError) as error:
        raise InputError(f"case {path.stem}: {error}") from error
    if not isinstance(about, dict) or not isinstance(about.get("config"), dict) or "state_dict" not in about:
        raise InputError(f"{path} is no case: config and state_dict are missing")
    return Case(path.stem, about, tensors)


@torch.no_grad()
def run_case(case: Case, scratch: Path) -> Outputs:
    """Our values for every output of a case.

    Args:
        case: the case; its kind follows from its configuration.
        scratch: an empty folder for the file in the published naming.

    Raises:
        InputError: of no known kind, or what it needs is not supported.
    """
    for key, run in KINDS.items():
        if key in case.about["config"]:
            return run(case, scratch)
    raise InputError(
        f"case {case.name}: a configuration of no known kind, which has one of {', '.join(KINDS)}"
    )


def _checkpoint(case: Case, scratch: Path, prefix: str) -> Path:
    """A pickled Lightning file with the case's weights under a prefix."""
    path = scratch / f"{case.name}.ckpt"
    torch.save({"state_dict": drawn_state(case.about["state_dict"], prefix)}, path)
    return path


def _unet(case: Case, scratch: Path) -> Outputs:
    with open_weights(_checkpoint(case, scratch, unet.PREFIX), scratch) as weights:
        model, _ = unet.import_unet(weights.under(unet.PREFIX), case.config)
        sample, times = case.input("x"), case.input("timesteps")
        fps, scale, made = None, None, {}
        if model.config.embed_fps:
            fps = case.input("fps").expand(len(sample))
        if model.config.guidance_size:
            scale = case.input("guidance_scale")
            made["guidance_embedding"] = Made(
                guidance_embedding(scale, model.config.guidance_size), TOLERANCE
            )
        noise = model(sample, times, case.input("context"), fps, scale)
    return {**made, "sample": Made(noise, TOLERANCE)}


def _vae(case: Case, scratch: Path) -> Outputs:
    with open_weights(_checkpoint(case, scratch, autoencoder.PREFIX), scratch) as weights:
        model, _ = autoencoder.import_vae(weights.under(autoencoder.PREFIX), case.config)
        latents = model.encode(case.input("pixels")).latent_dist
        decoded = model.decode(latents.mean).sample
    # diffusers clamps the logarithm of the variance to -30..20, as the reference does when it samples.
    made = {"mean": latents.mean, "logvar": latents.logvar, "decoded": decoded}
    return {name: Made(value, TOLERANCE) for name, value in made.items()}


def _text(case: Case, scratch: Path) -> Outputs:
    prefix = case.config.get("checkpoint_prefix", text.PREFIX)
    config = {key: value for key, value in case.config.items() if key not in ("prompts", "checkpoint_prefix")}
    with open_weights(_checkpoint(case, scratch, prefix), scratch) as weights:
        model, _ = text.import_text(weights.under(prefix), config, prefix)
        hidden = model(input_ids=case.input("tokens")).last_hidden_state
    return {"hidden": Made(hidden, TOLERANCE)}


def _scheduler(case: Case, scratch: Path) -> Outputs:
    config = case.config
    known = {"beta_schedule": "scaled_linear", "prediction_type": "epsilon"}
    if odd := {key: config[key] for key in known if config.get(key, known[key]) != known[key]}:
        raise InputError(f"case {case.name}: {odd} is not supported, only {known}")
    diffusion = VideoScheduler(
        beta_start=config["linear_start"],
        beta_end=config["linear_end"],
        solver_steps=config["lcm_origin_steps"],
    )
    made: Outputs = {}
    for name in case.arrays:
        if name.startswith("out_timesteps_"):
            times = diffusion.few_step_timesteps(int(name.rsplit("_", 1)[1]))
            made[name.removeprefix("out_")] = Made(torch.tensor(times), 0.0)
    x = case.input("latents")
    steps = sum(name.startswith("in_model_output_") for name in case.arrays)
    for index, time in enumerate(diffusion.few_step_timesteps(steps)):
        x = diffusion.denoised(case.input(f"model_output_{index}"), x, torch.full((len(x),), time))
        made[f"denoised_{index}"] = Made(x, RELATIVE_TOLERANCE, relative=True)
    return made


def _solver(case: Case, scratch: Path) -> Outputs:
    config = case.config
    if config["use_scale"] and config["scale_a"] != 1:
        raise InputError(
            f"case {case.name}: a rescale that begins at {config['scale_a']} is not supported, only 1"
        )
    diffusion = VideoScheduler(
        num_train_timesteps=config["timesteps"],
        beta_start=config.get("linear_start", 0.00085),
        beta_end=config.get("linear_end", 0.012),
        solver_steps=config["ddim_timesteps"],
        x0_scale=config["scale_b"] if config["use_scale"] else 1.0,
        x0_scale_steps=config["mid_step"],
    )
    index = case.input("index")
    times = diffusion.solver_timesteps
    earlier = torch.where(index > 0, times[(index - 1).clamp_min(0)], 0)
    stepped = diffusion.ddim_step(
        case.input("x0").double(), case.input("noise").double(), times[index], earlier
    )
    return {
        "x_prev": Made(stepped, RELATIVE_TOLERANCE, relative=True),
        "ddim_timesteps": Made(times, 0.0),
    }


def _dover(case: Case, scratch: Path) -> Outputs:
    shapes = case.about["state_dict"]
    ours = DOVER().state_dict()
    odd = [n for n in {*shapes, *ours} if n not in ours or list(ours[n].shape) != list(shapes.get(n, ()))]
    if odd:
        raise InputError(f"case {case.name}: entries of another structure: {listed(sorted(odd))}")
    # The integer entries are buffers that the model computes.
    computed = {name: t for name, t in ours.items() if not t.is_floating_point()}
    drawn_shapes = {name: shape for name, shape in shapes.items() if name not in computed}
    path = scratch / "DOVER.pth"
    torch.save({**drawn_state(drawn_shapes), **{n: computed[n] for n in shapes if n in computed}}, path)
    with open_weights(path) as weights:
        model = import_dover(weights)
    made: Outputs = {}
    for branch, compute in (("aesthetic", model.aesthetic_map), ("technical", model.technical_map)):
        if (view := _view(case, branch)) is None:
            continue
        scores = compute(view)
        made[f"{branch}_map"] = Made(scores, DOVER_TOLERANCE)
        made[branch] = Made(scores.mean((1, 2, 3, 4)), DOVER_TOLERANCE)
    return made


def _view(case: Case, branch: str) -> Tensor | None:
    """The input of a branch of DOVER: stored, or drawn by the rule; None where the case has none."""
    if f"in_{branch}" in case.arrays:
        return case.input(branch)
    shape = case.about.get("inputs", {}).get(branch)
    if shape is None:
        return None
    view = drawn(branch, shape).half().float()
    found = hashlib.sha256(view.numpy().tobytes()).hexdigest()
    if found != case.about.get("sha256", {}).get(branch, found):
        raise InputError(
            f"case {case.name}: the drawn input {branch} has SHA-256 {found}, not the one stated"
        )
    return view


KINDS: dict[str, Callable[[Case, Path], Outputs]] = {
    "model_channels": _unet,
    "ddconfig": _vae,
    "text_cfg": _text,
    "lcm_origin_steps": _scheduler,
    "ddim_timesteps": _solver,
    "technical": _dover,
}
"""How a case is run, by a key that only its kind of configuration has."""
