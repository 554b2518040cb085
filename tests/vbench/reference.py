"""Writes reference.json: what VBench's own code says of drawn videos, by networks of drawn weights at small widths.

    VBENCH_CACHE_DIR=DIR .venv-vbench/bin/python tests/vbench/reference.py DINO

``DINO`` is a folder with ``vision_transformer.py`` of facebookresearch/dino, which VBench takes from the hub. Only the
decoder is stood in for: frames come from memory.
"""

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))
import vbench_networks as nets  # noqa: E402

FRAMES = {f"/videos/{place}.mp4": frames for place, frames in enumerate(nets.videos())}


class Batch:
    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames

    def asnumpy(self) -> np.ndarray:
        return self.frames


class Reader:
    """Stands in for decord's: the same calls, whatever the bridge."""

    bridge = "native"

    def __init__(self, path: str, **options: Any) -> None:
        self.frames = FRAMES[path]

    def __len__(self) -> int:
        return len(self.frames)

    def get_avg_fps(self) -> float:
        return 8.0

    def get_batch(self, places: Any) -> Any:
        chosen = self.frames[list(places)]
        return torch.from_numpy(chosen) if self.bridge == "torch" else Batch(chosen)


def filled(prefix: str, module: nn.Module) -> nn.Module:
    state = module.state_dict()
    drawn = nets.weights(prefix, {name: tuple(tensor.shape) for name, tensor in state.items()})
    module.load_state_dict({name: torch.from_numpy(values) for name, values in drawn.items()})
    return module.eval()


def main(dino_folder: str) -> None:
    sys.path.insert(0, dino_folder)
    sys.modules["vit_utils"] = types.SimpleNamespace(trunc_normal_=nn.init.trunc_normal_)  # type: ignore[assignment]
    sys.modules["utils"] = sys.modules["vit_utils"]
    import clip
    import decord
    import vbench.utils as vbench_utils
    from clip.model import CLIP
    from vbench import (
        aesthetic_quality,
        appearance_style,
        background_consistency,
        overall_consistency,
        subject_consistency,
        temporal_flickering,
    )
    from vbench.third_party.ViCLIP.simple_tokenizer import SimpleTokenizer
    from vbench.third_party.ViCLIP.viclip import ViCLIP
    from vbench.third_party.ViCLIP.viclip_text import CLIP_TEXT
    from vbench.third_party.ViCLIP.viclip_vision import VisionTransformer as VideoTower
    from vision_transformer import VisionTransformer

    vbench_utils.VideoReader = Reader
    decord.bridge.set_bridge = lambda name: setattr(Reader, "bridge", name)
    temporal_flickering.get_frames = lambda path: list(FRAMES[path][..., ::-1])  # OpenCV's order of colors

    dino = filled(
        "dino", VisionTransformer(**nets.DINO, qkv_bias=True, norm_layer=lambda w: nn.LayerNorm(w, eps=1e-6))
    )
    pictures = filled("clip", CLIP(**nets.CLIP))
    head = filled("head", nn.Linear(nets.CLIP["embed_dim"], 1))
    viclip = ViCLIP.__new__(ViCLIP)
    nn.Module.__init__(viclip)
    viclip.max_txt_l = nets.VICLIP_TEXT["context_length"]
    viclip.vision_encoder = VideoTower(**nets.VICLIP_VIDEO)
    viclip.text_encoder = CLIP_TEXT(**nets.VICLIP_TEXT)
    viclip = filled("viclip", viclip)
    tokenizer = SimpleTokenizer()

    cpu, rows = torch.device("cpu"), []
    for place, path in enumerate(FRAMES):
        style, text = nets.STYLES[place], nets.TEXTS[place]
        listed = [{"prompt": text, "video_list": [path], "auxiliary_info": {"appearance_style": style}}]
        with torch.no_grad():
            seen = vbench_utils.dino_transform(224)(vbench_utils.load_video(path))
            square = vbench_utils.clip_transform(224)(vbench_utils.load_video(path))
            rows.append(
                {
                    "style_tokens": clip.tokenize([style])[0].tolist(),
                    "text_tokens": viclip.text_encoder.tokenize(text, context_length=32)[0].tolist(),
                    "dino": dino(seen)[-1].tolist(),
                    "clip": pictures.encode_image(square)[-1].tolist(),
                    "values": {
                        "temporal flickering": temporal_flickering.cal_score(path),
                        "subject consistency": subject_consistency.subject_consistency(
                            dino, [path], cpu, False
                        )[0],
                        "background consistency": background_consistency.background_consistency(
                            pictures, None, [path], cpu, False
                        )[0],
                        "aesthetic quality": aesthetic_quality.laion_aesthetic(head, pictures, [path], cpu)[
                            0
                        ],
                        "appearance style": appearance_style.appearance_style(pictures, listed, cpu)[0],
                        "overall consistency": overall_consistency.overall_consistency(
                            viclip, listed, tokenizer, cpu
                        )[0],
                    },
                }
            )
    rows = json.loads(json.dumps(rows, default=float), parse_float=lambda text: round(float(text), 7))
    (HERE / "reference.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(json.dumps([row["values"] for row in rows], indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
