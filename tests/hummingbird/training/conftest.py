"""A method that trains a second network beside the student, at another rate and more often."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from hummingbird.models.architectures import unet_config
from hummingbird.models.unet import VideoUNet
from hummingbird.training.methods.base import Losses, Method, MethodCost, TrainedNetwork, TrainingStep
from hummingbird.training.methods.replay import ReplayBuffer


def _two_networks() -> Callable[[torch.device], Method]:
    """A local class, so that it travels to workers by value."""

    class WithCritic(Method):
        """The critic follows the data twice a step; every second step the student follows it, from a buffer."""

        def __init__(self, device: torch.device) -> None:
            torch.manual_seed(0)
            shape = {"head_size": 8, "in_channels": 8, "text_width": 16, "norm_groups": 8}
            student, critic = (VideoUNet(**unet_config((16,), **shape)).to(device) for _ in range(2))
            self.networks = {
                "student": TrainedNetwork(student),
                "critic": TrainedNetwork(critic, learning_rate=1e-2, betas=(0.0, 0.999), average=True),
            }
            self.replay = ReplayBuffer(uses=3, capacity=4)

        def updates(self, step: int) -> Sequence[str]:
            return ("critic", "critic", "student") if step % 2 else ("critic", "critic")

        def losses(self, network: str, step: TrainingStep) -> Losses:
            x0, text, fps = (step.batch[name] for name in ("latents", "text", "fps"))
            t = torch.randint(1000, (len(x0),), generator=step.generator)
            if network == "critic":
                error = (step.networks["critic"](x0, t, text, fps=fps) - x0).square().mean()
                return Losses(error, {"data": error.detach()})
            rows = self.replay.next(lambda: {"x": x0, "t": t, "text": text, "fps": fps}, step.host_generator)
            inputs = rows["x"], rows["t"], rows["text"], rows["fps"]
            with torch.no_grad():
                target = step.networks["critic"](*inputs)
            error = (step.networks["student"](*inputs) - target).square().mean()
            return Losses(error, {"to_critic": error.detach()})

        def state(self) -> dict[str, Any]:
            return {"replay": self.replay.state()}

        def load_state(self, state: Mapping[str, Any]) -> None:
            self.replay.load_state(state["replay"])

        @classmethod
        def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
            return MethodCost(0, 1, 1, networks=("student", "student"))

    return WithCritic


@pytest.fixture
def two_networks() -> Callable[[torch.device], Method]:
    """Builds it on a device."""
    return _two_networks()
