"""Runs alone in a child process: one pickled file to safetensors, read as weights only.

Called as ``python -I unpickle.py SOURCE TARGET``; it imports nothing of this package. Weights-only reading builds
tensors and plain containers and calls nothing that a file names. The process is for what remains: bytes that make
the reader itself crash, hang or eat memory end this process, and it has no environment (so no credentials) to lose.

The one line that it prints is JSON: ``{"containers": [...], "other": [...]}``, or ``{"error": KIND, "detail": TEXT}``
with the kinds ``objects``, ``damaged``, ``no tensors`` and ``names``.
"""

import json
import pickle
import resource
import sys
from typing import Any

import torch
from safetensors.torch import save_file

CONTAINERS = ("state_dict", "module", "model")
"""Keys under which training frameworks keep the weights: Lightning's, DeepSpeed's, and plain scripts'."""


def main(source: str, target: str, shapes: bool = False) -> dict[str, Any]:
    """Writes the tensors of ``source`` to ``target``, or says their ``shapes`` and types alone."""
    place = "meta" if shapes else "cpu"
    try:
        try:
            content = torch.load(source, map_location=place, weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            content = torch.load(source, map_location=place, weights_only=True)  # the format before zip files
    except pickle.UnpicklingError as error:
        return {
            "error": "objects" if "Weights only load failed" in str(error) else "damaged",
            "detail": str(error),
        }
    except (
        Exception
    ) as error:  # whatever else the bytes brought about ends here: that is what the process is for
        return {"error": "damaged", "detail": f"{type(error).__name__}: {error}"}
    opened: list[str] = []
    while isinstance(content, dict) and (
        key := next((k for k in CONTAINERS if isinstance(content.get(k), (dict, list, tuple))), None)
    ):
        opened.append(key)
        content, around = content[key], [str(k) for k in content if k != key]
        opened += around
    if isinstance(content, (list, tuple)):  # LoRA files of cloneofsimo's kind: up, down, up, down, ...
        content = {f"{index:05d}": value for index, value in enumerate(content)}
    if not isinstance(content, dict) or not content:
        return {"error": "no tensors", "detail": type(content).__name__}
    if odd := [
        str(k)[:80] for k, v in content.items() if not isinstance(k, str) or not isinstance(v, torch.Tensor)
    ]:
        return {"error": "names", "detail": ", ".join(odd[:8])}
    if shapes:
        return {"shapes": {name: [list(t.shape), str(t.dtype)[6:]] for name, t in content.items()}}
    # safetensors keeps no order and refuses shared memory: names carry the order, each tensor gets its own memory.
    seen: set[int] = set()
    tensors = {}
    for name, tensor in content.items():
        place = tensor.untyped_storage().data_ptr()
        own = tensor.detach() if place not in seen else tensor.detach().clone()
        seen.add(place)
        tensors[name] = own.contiguous()
    save_file(tensors, target, metadata={"order": json.dumps(list(tensors))})
    return {"containers": opened}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3:] == ["shapes"])))
