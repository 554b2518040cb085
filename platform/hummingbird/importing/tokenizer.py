"""CLIP's tokenizer from its published vocabulary, with OpenCLIP's padding."""

import gzip
import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from hummingbird.core.errors import InputError

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
MERGES = 49152 - 256 - 2  # lines of the vocabulary file that CLIP uses, after its header
PATTERN = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
TOKENIZER_HELP = (
    "give a folder with vocab.json and merges.txt or tokenizer.json, or OpenCLIP's bpe_simple_vocab_16e6.txt.gz "
    "(in the package open_clip_torch): import_checkpoint.tokenizer=PATH"
)


def load_tokenizer(path: Path | None, vocabulary: int, length: int) -> PreTrainedTokenizerFast:
    """A tokenizer for a text encoder of ``vocabulary`` entries and ``length`` positions.

    It returns no attention mask, since the published text towers look at every position, and has no padding token:
    they pad with 0, which is also a letter, so `TextToVideoPipeline.tokenize` puts the zeros there.

    Raises:
        InputError: no path, nothing there that is known, or token ids beyond the vocabulary.
    """
    if path is None:
        raise InputError(f"the checkpoint holds no tokenizer: {TOKENIZER_HELP}")
    try:
        backend = _read(path)
    except (OSError, EOFError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"no tokenizer in {path} ({error}): {TOKENIZER_HELP}") from error
    size = backend.get_vocab_size()
    if size > vocabulary:
        raise InputError(
            f"the tokenizer of {path} has {size} tokens, the text encoder {vocabulary}: take its own"
        )
    ends = {token: backend.token_to_id(token) for token in (START, END)}
    if None in ends.values():
        raise InputError(f"the tokenizer of {path} lacks {START} or {END}: it is not CLIP's")
    backend.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=list(ends.items())
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        model_max_length=length,
        model_input_names=["input_ids"],
    )


def _read(path: Path) -> Tokenizer:
    if path.is_file():
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        merges = [(a, b) for a, b in (line.split() for line in text.split("\n")[1 : MERGES + 1])]
        letters = byte_letters()
        tokens = (
            letters + [letter + WORD_END for letter in letters] + [a + b for a, b in merges] + [START, END]
        )
        return _byte_pairs({token: number for number, token in enumerate(tokens)}, merges)
    if (path / "tokenizer.json").is_file():
        return Tokenizer.from_file(str(path / "tokenizer.json"))
    vocabulary = json.loads((path / "vocab.json").read_text(encoding="utf-8"))
    lines = (path / "merges.txt").read_text(encoding="utf-8").split("\n")
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#version")]
    return _byte_pairs(vocabulary, [(a, b) for a, b in pairs])


def _byte_pairs(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    tokenizer = Tokenizer(
        models.BPE(
            vocabulary, merges, end_of_word_suffix=WORD_END, continuing_subword_prefix="", unk_token=END
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "removed", invert=True), ByteLevel(add_prefix_space=False)]
    )
    return tokenizer


def byte_letters() -> list[str]:
    """One printable letter a byte, the printable bytes first: the order of CLIP's first 256 tokens."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = len([byte for byte in range(256) if byte not in printable])
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(others)]
