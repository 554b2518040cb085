"""How much memory of a GPU a model takes: running it, distilling it, or giving it feedback.

Weights, gradients and optimizer follow from the number of parameters and the ZeRO stage, as the trainer of this
project keeps them: trained weights, their moving average and the teacher in float32, AdamW with two moments.
Activations are those of `hummingbird.pruning.planner.peak`. All sizes are in bytes.
"""

from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import nn

from hummingbird.core.hashes import count_parameters
from hummingbird.models.rewards import TextVideoScorer
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import InputShape, meta_unet, unet_inputs
from hummingbird.pruning.planner.peak import Timeline, estimated_peak
from hummingbird.pruning.planner.planned_models import PlannedModel

FLOAT = 4
BUCKET = 500_000_000  # DeepSpeed's reduce_bucket_size: values that are gathered before they are reduced
IMAGE_FRAMES, VIDEO_FRAMES = 5, 8


@dataclass(frozen=True)
class Use:
    """What is done with the student, and on what.

    Attributes:
        method: ``inference``, ``distill`` or ``feedback``.
        device: ``cuda`` or ``cpu``: whose attention and norms.
    """

    method: str = "feedback"
    gpus: int = 1
    zero_stage: int = 2
    batch: int = 1
    precision: str = "bf16"
    checkpointing: bool = True
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
        scorer: configuration of the small world's reward, where the model has no rewards of its own.
    """

    def __init__(
        self,
        model: PlannedModel,
        student: dict[str, Any],
        shape: InputShape,
        scorer: dict[str, Any] | None = None,
    ) -> None:
        self._model, self._student, self._shape, self._scorer = model, student, shape, scorer
        self._peak = cache(self._unet_peak)
        self._decoding = cache(self._decoder_peak)
        self._scoring = cache(self._scorer_peak)
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
        kept = {0: 1.0, 1: 1.0, 2: share, 3: share}[use.zero_stage]
        weights = round(student * FLOAT * (share if use.zero_stage == 3 else 1))
        # From stage 1 on, DeepSpeed holds its part of the weights a second time, as what the optimizer steps.
        copies = 3 * share if use.zero_stage in (1, 2) else 2 * (share if use.zero_stage == 3 else 1)
        optimizer = round(copies * student * FLOAT)
        gradients = round(kept * student * FLOAT)
        buckets = BUCKET * FLOAT if use.zero_stage else 0
        timeline = self._peak(True, use.checkpointing, use.precision, use.device, False)
        both, alone = timeline.peak(kept) * use.batch, timeline.peak(0.0) * use.batch
        # Gradients do not grow with the batch.
        step = max(both - (use.batch - 1) * gradients, alone, gradients)
        taught = self._peak(False, False, use.precision, use.device, True).peak() * 2 * use.batch
        decoder, rewards, kept_for_rewards = self._feedback(use, element)
        static = weights + student * FLOAT + teacher * FLOAT + optimizer + buckets + decoder[0] + rewards
        peak = static + max(taught + gradients, step + decoder[1] + kept_for_rewards)
        return Memory(
            weights=weights,
            average=student * FLOAT,
            teacher=teacher * FLOAT,
            gradients=gradients,
            optimizer=optimizer,
            buckets=buckets,
            activations=alone,
            teacher_pass=taught,
            decoder=sum(decoder),
            rewards=rewards + kept_for_rewards,
            peak=peak,
        )

    def _feedback(self, use: Use, element: int) -> tuple[tuple[int, int], int, int]:
        """Weights and activations of the decoder, then those of the rewards."""
        if use.method != "feedback":
            return (0, 0), 0, 0
        frames = min(IMAGE_FRAMES + VIDEO_FRAMES, self._shape.frames)
        decoder = (
            self._decoder_weights(use, FLOAT),
            self._decoding(use.decoder, True, use.precision, frames) * use.batch,
        )
        rewards = sum(reward.parameters * FLOAT for reward in self._model.rewards)
        kept = sum(reward.activations(use.batch, element) for reward in self._model.rewards)
        if self._scorer is not None:
            with torch.device("meta"):
                rewards += count_parameters(TextVideoScorer(**self._scorer)) * FLOAT
            kept += self._scoring(use.precision) * use.batch
        return decoder, rewards, kept

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

    def _scorer_peak(self, precision: str) -> int:
        scorer = self._scorer
        assert scorer is not None

        def run(model: Any) -> torch.Tensor:
            size = scorer["size"]
            video = torch.rand(1, scorer["frames"], 3, size, size, requires_grad=True)
            images: torch.Tensor = model.embed_frames(video[0, :IMAGE_FRAMES])
            return images.sum() + model.embed_video(video).sum()

        timeline = estimated_peak(
            lambda: TextVideoScorer(**scorer).eval().requires_grad_(False),
            run,
            device="cpu",
            backward=True,
            bf16=precision == "bf16",
        )
        return timeline.peak()

    def _decoder_weights(self, use: Use, element: int) -> int:
        with torch.device("meta"):
            return count_parameters(self._model.decoder(use.decoder)) * element
