"""Lets torchvision's wheel for CUDA be imported beside torch's CPU build; only for the environment of this folder.

torchvision registers fake kernels of two operators, which exist only where its library loads; that wants CUDA. So
their schemas are defined just before it is imported, in every process, since vLLM looks at models in a child process:
a ``.pth`` file imports this module when Python starts.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ClassVar


class _Schemas(MetaPathFinder):
    kept: ClassVar[list[Any]] = []  # a library's schemas go when it does

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            import torch

            library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            self.kept.append(library)
        return None


sys.meta_path.insert(0, _Schemas())
