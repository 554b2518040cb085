"""The generated footage's truth, in the form that curation is scored with."""

from pathlib import Path

from hummingbird.evaluation.curation import CurationTruth, TrueShot
from hummingbird.shapes.scene import Attributes
from hummingbird.shapes.truth import read_truth


def read_curation_truth(path: Path) -> CurationTruth:
    """The truth beside a folder of footage; ValueError where ``path`` is no such file."""
    files = read_truth(path)
    shots = [
        TrueShot(
            source=file.uri,
            start=shot.start_seconds,
            end=shot.end_seconds,
            reasons=frozenset([shot.reason] if shot.reason else []),
            attributes=Attributes(shot.objects, shot.motion or "", shot.background, shot.relation),
        )
        for file in files
        for shot in file.shots
    ]
    return CurationTruth(shots, frozenset(file.uri for file in files if file.broken))
