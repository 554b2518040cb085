"""What the index of kept clips costs a clip, at several sizes, in this process and over actors.

    python -m hummingbird_data.copies.index_benchmark CLIPS [CLIPS ...] [--actors N]

Clips are made up: embeddings lie as far apart as those of real ones (in the middle 81; one pair in sixty within the
radius) and hashes at random, so that no pictures are compared.
"""

import argparse
import base64
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from hummingbird_data.copies.batch_copies import KeptClips
from hummingbird_data.copies.duplicate_index import DuplicateIndex
from hummingbird_data.copies.duplicates import CopyLimits
from hummingbird_data.copies.embedding import SIZE
from hummingbird_data.copies.index_shards import IndexShards
from hummingbird_data.stage import Row

_FREE = 10  # directions in which the made-up embeddings differ
_SPREAD = 18.0
_APART = 1.2  # and a little in all: so near that pictures are compared, whatever their hashes say, is none
_ASKED = 256


def made_up_clips() -> Iterator[Row]:
    """Rows with the columns of the index, without end."""
    draw = np.random.default_rng(0)
    directions = np.linalg.qr(draw.standard_normal((SIZE, _FREE)))[0] * _SPREAD
    number = 0
    while True:
        points = draw.standard_normal((4096, _FREE)) @ directions.T + draw.normal(0, _APART, (4096, SIZE))
        hashes = draw.bytes(4096 * 160).hex()
        for at, point in enumerate(np.clip(points.round(), -127, 127).astype(np.int8)):
            yield {
                "media_path": str(number), "clip_id": f"clip{number}", "source_uri": f"/{number}.mp4",
                "start_seconds": 0.0, "shot_index": 0, "content_hash": f"h{number}",
                "perceptual_hash": hashes[at * 320 : (at + 1) * 320],
                "embedding": base64.b64encode(point.tobytes()).decode(),
            }  # fmt: skip
            number += 1


def measure(index: KeptClips, sizes: list[int], name: str) -> Iterator[dict[str, object]]:
    """For each size: milliseconds a clip to add and to look up."""
    clips = made_up_clips()
    asked = list(islice(clips, _ASKED))
    size = 0
    for wanted in sizes:
        started = time.perf_counter()
        index.add(islice(clips, wanted - size))
        index.first_copies([])  # waits: what was added on its way has arrived
        added = (time.perf_counter() - started) / (wanted - size)
        size = wanted
        started = time.perf_counter()
        index.first_copies(asked)
        looked_up = (time.perf_counter() - started) / len(asked)
        yield {
            "index": name, "clips": size, "add_ms": round(1e3 * added, 3), "look_up_ms": round(1e3 * looked_up, 2),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="What the index of kept clips costs a clip.")
    parser.add_argument("clips", type=int, nargs="+", help="sizes of the index, rising")
    parser.add_argument("--actors", type=int, default=0, help="shards; 0: one index in this process")
    args = parser.parse_args()
    if args.actors:
        import ray

        ray.init("local", include_dashboard=False, log_to_driver=False)
        with IndexShards(CopyLimits(), Path(), args.actors, lambda: ()) as shards:
            rows = list(measure(shards, args.clips, f"{args.actors} actors"))
    else:
        with DuplicateIndex(CopyLimits(), Path()) as index:
            rows = list(measure(index, args.clips, "one process"))
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
