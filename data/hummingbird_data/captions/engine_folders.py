"""Models in folders, as transformers and vLLM run them: identity, check of the files, processors and prompts."""

from functools import cached_property
from pathlib import Path
from typing import Any

from hummingbird.core.hashes import folder_hash
from hummingbird.core.model_references import model_folder, model_licence

from hummingbird_data.captions.engines import CaptionEngine, CaptionModel, EngineSpec
from hummingbird_data.runtime.model_files import check_files


class FolderEngine(CaptionEngine):
    """An engine whose model is a folder in the format of transformers."""

    def __init__(self, settings: Any, spec: EngineSpec) -> None:
        super().__init__(settings, spec)
        self.folder = model_folder(spec.model)

    @cached_property
    def identity(self) -> CaptionModel:
        """By the files' content."""
        digest = folder_hash(self.folder)
        return CaptionModel(
            f"{self.spec.model}@{digest[:12]}", digest, model_licence(self.folder) or "unknown"
        )

    def check(self) -> None:
        """Whether the folder holds the model's weights, by their names and shapes: none is loaded.

        Raises:
            InputError: they are missing, renamed, of another shape or cut off.
        """
        from hummingbird.models.loading import check_weights

        check_files(Path(self.folder))
        if self.weights_can_be_checked():
            check_weights(self.model_class, str(self.folder))

    def weights_can_be_checked(self) -> bool:
        """Whether transformers can tell which weights the model has."""
        return True

    @property
    def model_class(self) -> Any:
        """transformers' class for the model: one that is shown frames, or a language model."""
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        return AutoModelForImageTextToText if self.spec.frames else AutoModelForCausalLM


def build_prompt(processor: Any, question: str, images: int) -> str:
    """The text that a model is given: by the chat template of its processor or tokenizer, else images, question."""
    if getattr(processor, "chat_template", None):
        content: Any = question
        if images:
            content = [{"type": "image"}] * images + [{"type": "text", "text": question}]
        messages = [{"role": "user", "content": content}]
        return str(processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    return f"{processor.image_token * images}\n{question}\n" if images else f"{question}\n"


def load_processor(model: str, frames: int) -> Any:
    """The processor of a vision-language model, or the tokenizer of one that is shown no frames.

    Processors that take video too want torchvision for it. Frames go as pictures here, so without torchvision they are
    made without their part for video.
    """
    from importlib.util import find_spec

    from transformers import AutoConfig, AutoProcessor, AutoTokenizer
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    if not frames:
        return AutoTokenizer.from_pretrained(model)
    kind = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(model)), None)
    if kind is None or "video_processor" not in kind.get_attributes() or find_spec("torchvision"):
        return AutoProcessor.from_pretrained(model)

    class PicturesOnly(kind):  # type: ignore[misc, valid-type]
        # transformers takes a processor's parts from this signature.
        def __init__(
            self, image_processor: Any, tokenizer: Any, chat_template: Any = None, **others: Any
        ) -> None:
            super().__init__(image_processor, tokenizer, None, chat_template=chat_template, **others)

    return PicturesOnly.from_pretrained(model)
