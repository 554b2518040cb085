"""Lets vLLM 0.29 load LLaVA beside transformers 5.23.

vLLM's LLaVA imports its Pixtral, and that imports two names that transformers has since renamed or taken away. vLLM
runs `register` in each of its processes (entry point ``vllm.general_plugins``), before it imports a model. Pixtral
itself does not run with these versions, and says so.
"""

from importlib import import_module
from typing import NoReturn

_MODULE = "transformers.models.pixtral.modeling_pixtral"
_GONE = ("PixtralRotaryEmbedding", "position_ids_in_meshgrid")


def register() -> None:
    """Puts a placeholder in the place of each name that is missing."""
    module = import_module(_MODULE)
    for name in _GONE:
        if not hasattr(module, name):
            setattr(module, name, _placeholder(name))


def _placeholder(name: str) -> object:
    def missing(*arguments: object, **named: object) -> NoReturn:
        import transformers

        raise ImportError(
            f"transformers {transformers.__version__} has no {name}: this vLLM cannot run Pixtral with it"
        )

    return missing
