"""The progress bar of curation, with counts."""

from collections import Counter
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Files done, and what became of them, on standard error."""

    def __init__(self, files: int) -> None:
        self._bar = tqdm(total=files, unit="file", desc="curate", mininterval=1.0, dynamic_ncols=True)
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.refresh()
        self._bar.close()

    def add(self, files: int = 0, **counts: int) -> None:
        """``files`` more are done; ``counts`` more of each thing."""
        self.counts.update(counts)
        self._bar.set_postfix_str(", ".join(f"{n} {what}" for what, n in self.counts.items()), refresh=False)
        self._bar.update(files)

    def step(self, name: str) -> None:
        """Says what is being done."""
        self._bar.set_description_str(name)
