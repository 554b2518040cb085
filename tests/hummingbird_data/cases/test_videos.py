"""Real files of open test suites, in ``../shared/videos`` beside the checkout: each with the outcome of its README.

Where that folder's parent is there, as on the machine of continuous integration, missing videos are a failure.
"""

from pathlib import Path

import numpy as np
import pytest
from footage_files import ClipSeen, clips_of
from hummingbird_data.reading.decode import decode
from hummingbird_data.reading.probe import Limits, probe
from hummingbird_data.stage import StageError

SHARED = Path(__file__).parents[4] / "shared"


@pytest.fixture(scope="module")
def videos() -> Path:
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the checkout: real videos were not read")
    folder = SHARED / "videos"
    assert list(folder.glob("*.mp4")), f"{SHARED} is there, but its videos are not"
    return folder


# Pictures, seconds at which they begin, seconds that they are shown, size as shown.
WHOLE: dict[str, tuple[int, float, float, tuple[int, int]]] = {
    "bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4": (120, 10.0, 4.0, (1138, 640)),
    "delayed_start.mp4": (24, 1.075, 0.96, (480, 320)),
    "edit_list_positive_shift.mp4": (270, 1.0, 9.0, (1920, 1080)),
    "flipping_a_pancake.mkv": (310, 0.0, 10.333, (426, 240)),
    "hlg10-color-test.mp4": (9, 0.0, 0.3, (1920, 1080)),
    "nasa_13013_rotated.mp4": (17, 0.0, 0.567, (270, 480)),
    "no_duration.webm": (74, 0.0, 4.938, (1280, 720)),
    "pixel-motion-photo-2-hevc-tracks.mp4": (58, 0.0, 2.1, (768, 1024)),
    "sample_h262_mpeg_audio.ts": (3, 1.433, 0.1, (640, 426)),
    "sample_missing_stsd.mp4": (30, 0.0, 1.001, (1080, 720)),
    "sample_partially_fragmented.mp4": (30, 0.067, 1.001, (1080, 720)),
    "sample_rotate_and_reflect.mp4": (30, 0.0, 1.001, (720, 1080)),
    "sintel_10s.mp4": (240, 0.0, 10.0, (854, 480)),
    "test_non_zero_start.mp4": (12, 8.333, 0.4, (200, 112)),
    "testsrc2_odd_height_and_width_444.mp4": (25, 0.0, 1.0, (320, 240)),
    "testsrc2_vp9.webm": (30, 0.0, 1.0, (0, 0)),
    "trim_optimization_failure.mp4": (167, 0.0, 5.589, (0, 0)),
    "video_0.mov": (3, 0.0, 0.1, (568, 320)),
    "video_90.mov": (3, 0.0, 0.1, (320, 568)),
    "video_180.mov": (3, 0.0, 0.1, (568, 320)),
    "video_270.mov": (3, 0.0, 0.1, (320, 568)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_read_whole(videos: Path, name: str) -> None:
    pictures, start, seconds, size = WHOLE[name]
    info = probe(videos / name, Limits())
    frames = list(decode(videos / name, info, Limits(), 2000))
    assert len(frames) == pictures
    assert frames[0].time == pytest.approx(start, abs=0.005)
    assert info.seconds == pytest.approx(seconds, abs=0.04)
    height, width = frames[0].rgb.shape[:2]
    assert size == (0, 0) or (abs(width - size[0]) <= 2 and abs(height - size[1]) <= 2)


def clips(videos: Path, name: str, tmp_path: Path) -> list[ClipSeen]:
    (tmp_path / name).symlink_to(videos / name)
    return clips_of(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "sample_missing_stsd.mp4",
        "pixel-motion-photo-2-hevc-tracks.mp4",
        "no_duration.webm",
        "trim_optimization_failure.mp4",
    ],
)
def test_clips_last_as_long_as_their_file(videos: Path, name: str, tmp_path: Path) -> None:
    found = clips(videos, name, tmp_path)
    _, start, seconds, _ = WHOLE[name]
    assert found[0].start == pytest.approx(start, abs=0.005)
    assert found[-1].end == pytest.approx(start + seconds, abs=0.06)


def test_damaged_pictures_have_one_outcome(videos: Path) -> None:
    path = videos / "corrupted.mp4"
    with pytest.raises(StageError, match=r"damaged picture at \d+\.\d\d s"):
        list(decode(path, probe(path, Limits()), Limits(), 480))


def test_cuts_of_the_film(videos: Path, tmp_path: Path) -> None:
    found = clips(videos, "sintel_10s.mp4", tmp_path)
    shots = {clip.shot: clip.start for clip in reversed(found)}
    assert sorted(shots.values()) == pytest.approx([0.0, 0.21, 4.21, 7.08, 8.92], abs=0.03)


def test_grays_of_hlg_are_gray_and_in_order(videos: Path) -> None:
    path = videos / "hlg10-color-test.mp4"
    rgb = next(iter(decode(path, probe(path, Limits()), Limits(), 480))).rgb.astype(int)
    assert np.ptp(rgb.reshape(-1, 3).mean(0)) < 40
    assert rgb.max() > 150
