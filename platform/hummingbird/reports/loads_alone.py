"""Loads a folder as a stranger would, with diffusers and the folder's own code, and makes a video. Executed as a file.

    python -I loads_alone.py FOLDER FRAMES DECODER

Prints the shape of the video.
"""

import sys


def main(folder: str, frames: str, decoder: str) -> None:
    """Raises whatever loading or sampling raises, and ValueError where the video is no numbers."""
    import numpy as np
    import torch
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    options = {"num_inference_steps": 1, "num_frames": int(frames), "decoder": decoder}
    video = np.asarray(pipe("a test", generator=generator, output_type="np", **options).frames[0])
    if not np.isfinite(video).all():
        raise ValueError("the video has values that are no numbers")
    print(video.shape)


if __name__ == "__main__":
    main(*sys.argv[1:])
