"""A model's own videos as a cache of latents: what it can do must still be there after a training."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from hummingbird.core.devices import resolve_device
from hummingbird.core.files import AnyPath
from hummingbird.core.progress import ProgressBar
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.video import seeded_generators
from hummingbird.training.latent_cache import CACHE_SCHEMA, LatentCache, encoder_hashes, finish_cache


def make_own_videos(pipeline: str, prompts: Sequence[str], like: AnyPath, folder: AnyPath, seed: int) -> None:
    """Writes a cache with a video of each prompt, of the size and frame rate of the first sample of the cache ``like``.

    Nothing happens where it is there. Videos are sampled as the pipeline's scheduler says, one at a time.

    Args:
        pipeline: folder or name.
        seed: of the first video; the others have the next ones.
    """
    if (folder / "cache.json").is_file():
        return
    model = load_pipeline(pipeline).to(resolve_device())
    model.set_progress_bar_config(disable=True)
    sample = LatentCache(like).load([0])
    fps, (_, _, frames, height, width) = float(sample["fps"][0]), sample["latents"].shape
    scale = model.family.pixels_per_latent
    rows = []
    for number, prompt in enumerate(ProgressBar(prompts, desc="the base's own videos", unit="video")):
        text = model.encode_prompts([prompt])
        latents = model(
            prompt_embeds=text, num_frames=frames, height=height * scale, width=width * scale, fps=fps,
            generator=seeded_generators([seed + number]), output_type="latent",
        ).frames[0]  # fmt: skip
        rows.append(
            {
                "clip_id": str(number),
                "caption": prompt,
                "fps": fps,
                "latents": _bytes(latents.permute(1, 0, 2, 3)),
                "text": _bytes(text[0]),
            }
        )
    folder.mkdir(parents=True, exist_ok=True)
    name = "part-00000.parquet"
    with (folder / name).open("wb") as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=CACHE_SCHEMA), file)
    about = {"snapshot_id": None, **encoder_hashes(model)}
    shape = (frames, *latents.shape[:1], height, width)
    finish_cache(folder, about, [shape], {name: (len(rows), 0)}, model.encode_prompts([""])[0])


def _bytes(values: torch.Tensor) -> bytes:
    return values.cpu().numpy().astype(np.float16).tobytes()
