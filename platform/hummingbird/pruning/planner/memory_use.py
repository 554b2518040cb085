"""How much memory of a GPU a model takes: running it, or training it with a method and rewards.

Weights, gradients and optimizer follow from the number of parameters and the ZeRO stage, as the trainer of this
project has them: trained weights, the student's moving average and the teacher in float32, AdamW with two moments.
What a method and its rewards need they declare. Activations are those of `hummingbird.pruning.planner.peak`. All
sizes are in bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import nn

from hummingbird.config.lora import LoRASettings
from hummingbird.core.hashes import count_parameters
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import InputShape, meta_unet, unet_inputs
from hummingbird.pruning.planner.peak import Timeline, estimated_peak
from hummingbird.pruning.planner.planned_models import PlannedModel
from hummingbird.training.adapters import adapter_parameters
from hummingbird.training.methods.base import MethodCost
from hummingbird.training.rewards.base import RewardDeclaration, TracedMemory, TransformerMemory

FLOAT = 4
BUCKET = 500_000_000  # DeepSpeed's reduce_bucket_size: values that are gathered before they are reduced


@dataclass(frozen=True)
class Use:
    """What is done with the student, and on what.

    Attributes:
        method: ``inference``, or the verb that trains: ``distill`` or ``feedback``.
        offload: whether the optimizer is in the machine's memory.
        device: ``cuda`` or ``cpu``: whose attention and norms.
    """

    method: str = "feedback"
    gpus: int = 1
    zero_stage: int = 2
    batch: int = 1
    precision: str = "bf16"
    checkpointing: bool = True
    offload: bool = False
    decoder: str = "full"
    device: str = "cuda"

    @property
    def trains(self) -> bool:
        return self.method != "inference"


@dataclass(frozen=True)
class Memory:
    """Bytes by part, and the peak of all together.

    The peak is not above the sum of the parts: gradients fill up while activations go, and what a pass
    without gradients needs is given back before the next part of the step.
    """

    weights: int
    average: int
    teacher: int
    gradients: int
    optimizer: int
    buckets: int
    activations: int
    teacher_pass: int
    decoder: int
    rewards: int
    peak: int

    def as_json(self) -> dict[str, int]:
        return asdict(self)


class MemoryModel:
    """Estimates for one student of one teacher at one resolution; passes are looked at once and remembered.

    Args:
        model: the pipeline, whose U-Net is the teacher.
        student: configuration of the student's U-Net.
        shape: of one video.
        method: what a step of a batch costs with the method that trains, with these rewards.
        rewards: what each reward declares, by name.
        lora: adapters that are trained in place of the student's weights; what they store for the backward pass, a
            rank's share of what their layers do, is not counted.
    """

    def __init__(
        self,
        model: PlannedModel,
        student: dict[str, Any],
        shape: InputShape,
        method: Callable[[int], MethodCost],
        rewards: Mapping[str, RewardDeclaration] | None = None,
        lora: LoRASettings | None = None,
    ) -> None:
        self._adapters = (
            adapter_parameters(meta_unet(student), lora) if lora is not None and lora.rank else None
        )
        self._model, self._student, self._shape = model, student, shape
        self._method, self._rewards = method, rewards or {}
        self._peak = cache(self._unet_peak)
        self._decoding = cache(self._decoder_peak)
        self._scoring = cache(self._reward_peak)
        self._sizes = (count_parameters(meta_unet(student)), count_parameters(meta_unet(model.unet)))

    def estimate(self, use: Use) -> Memory:
        """Memory of one GPU."""
        student, teacher = self._sizes
        element = 2 if use.precision == "bf16" else FLOAT
        if not use.trains:
            weights = (student + self._model.text_parameters) * element + self._decoder_weights(use, element)
            passing = self._peak(False, False, use.precision, use.device, False).peak() * use.batch
            decoding = self._decoding(use.decoder, False, use.precision, self._shape.frames)
            peak = weights + max(passing, decoding)
            return Memory(weights, 0, 0, 0, 0, 0, passing, 0, decoding, 0, peak)
        share = 1 / use.gpus
        cost = self._method(use.batch)
        learned, frozen = (student, 0) if self._adapters is None else (self._adapters, student)
        trained = [learned if network == "student" else teacher for network in cost.networks]
        gradient_share = {0: 1.0, 1: 1.0, 2: share, 3: share}[use.zero_stage]
        weights = round((sum(trained) + frozen) * FLOAT * (share if use.zero_stage == 3 else 1))
        # The average shares what is not trained, but for stage 3, which cuts it up.
        average = (learned + (frozen if use.zero_stage == 3 else 0)) * FLOAT
        # From stage 1 on, DeepSpeed holds its part of the weights a second time, as what the optimizer steps.
        copies = 3 * share if use.zero_stage in (1, 2) else 2 * (share if use.zero_stage == 3 else 1)
        optimizer = 0 if use.offload and use.zero_stage else round(copies * sum(trained) * FLOAT)
        gradients = round(gradient_share * max(trained) * FLOAT)  # they go with the step of their network
        buckets = BUCKET * FLOAT * len(trained) if use.zero_stage else 0
        passes = {"student": cost.trained_passes * use.batch}
        passes = {network: float(use.batch) for network in cost.networks} | passes
        with_gradients, activations = 0, 0
        for network, samples in passes.items():
            timeline = self._peak(True, use.checkpointing, use.precision, use.device, network == "teacher")
            # Gradients do not grow with the batch.
            own_gradients = 0.0 if frozen and network == "student" else gradient_share
            with_gradients = max(
                with_gradients,
                round(
                    timeline.peak(own_gradients) * samples - (samples - 1) * gradients * bool(own_gradients)
                ),
            )
            activations = max(activations, round(timeline.peak(0.0) * samples))
        step = max(with_gradients, activations, gradients)
        guided = self._peak(False, False, use.precision, use.device, True).peak() * 2 * use.batch
        rewarded = cost.rewarded_share * use.batch
        decoder, rewards, rewards_pass = self._rewarded(use, element, rewarded)
        static = weights + average + teacher * FLOAT + optimizer + buckets + decoder[0] + rewards
        peak = static + max(guided + gradients, step + decoder[1] + rewards_pass)
        return Memory(
            weights=weights,
            average=average,
            teacher=teacher * FLOAT,
            gradients=gradients,
            optimizer=optimizer,
            buckets=buckets,
            activations=activations,
            teacher_pass=guided,
            decoder=sum(decoder),
            rewards=rewards + rewards_pass,
            peak=peak,
        )

    def _rewarded(self, use: Use, element: int, videos: float) -> tuple[tuple[int, int], int, int]:
        """Weights and activations of the decoder, then those of the rewards, for so many videos."""
        if not self._rewards:
            return (0, 0), 0, 0
        frames = self._shape.frames
        reward_frames = [declared.frames or frames for declared in self._rewards.values()]
        decoding = self._decoding(use.decoder, True, use.precision, min(sum(reward_frames), frames))
        decoder = (self._decoder_weights(use, FLOAT), round(decoding * videos))
        weights: dict[object, int] = {}
        activations = 0.0
        for name, declared in self._rewards.items():
            match declared.memory:
                case TransformerMemory() as memory:
                    weights[declared.weights or name] = memory.parameters * FLOAT
                    activations += memory.activations(1, element) * videos
                case TracedMemory() as memory:
                    with torch.device("meta"):
                        weights[declared.weights or name] = count_parameters(memory.build()) * FLOAT
                    activations += self._scoring(name, use.precision) * videos
        return decoder, sum(weights.values()), round(activations)

    def _unet_peak(
        self, trains: bool, checkpointing: bool, precision: str, device: str, teacher: bool
    ) -> Timeline:
        config = self._model.unet if teacher else self._student

        def build() -> nn.Module:
            unet: VideoUNet = VideoUNet(**config)
            unet.train(trains).requires_grad_(trains)
            unet.gradient_checkpointing = checkpointing
            return unet

        inputs = replace(self._shape, batch=1)
        return estimated_peak(
            build,
            lambda unet: unet(**unet_inputs(config, inputs, "cpu")),
            device=device,
            backward=trains,
            bf16=precision == "bf16",
        )

    def _decoder_peak(self, which: str, backward: bool, precision: str, frames: int) -> int:
        channels = self._student.get("in_channels", 4)

        def run(decoder: Any) -> torch.Tensor:
            latents = torch.randn(
                frames, channels, self._shape.height, self._shape.width, requires_grad=backward
            )
            pixels: torch.Tensor = decoder.decode(latents).sample
            return pixels

        timeline = estimated_peak(
            lambda: self._model.decoder(which).eval().requires_grad_(False),
            run,
            device="cpu",  # its one attention layer is not this project's
            backward=backward,
            bf16=precision == "bf16",
        )
        return timeline.peak()

    def _reward_peak(self, name: str, precision: str) -> int:
        memory = self._rewards[name].memory
        assert isinstance(memory, TracedMemory)
        timeline = estimated_peak(
            memory.build, memory.run, device="cpu", backward=True, bf16=precision == "bf16"
        )
        return timeline.peak()

    def _decoder_weights(self, use: Use, element: int) -> int:
        with torch.device("meta"):
            return count_parameters(self._model.decoder(use.decoder)) * element
