"""Media files that no row names are told from those that a row of any state names."""

from hummingbird.lake.lake import Lake
from hummingbird.lake.media import store_media
from hummingbird.lake.orphans import Orphan, orphans

from .conftest import clip, clips


def test_what_no_row_of_any_state_names_is_reported_and_left_alone(lake: Lake) -> None:
    assert list(orphans(lake)) == []
    old, new, lost = (store_media(lake.storage, content).media_path for content in (b"old", b"new", b"lost"))
    part = lake.storage / lost
    part = part.with_name(f".{part.name}.x1y2z3")
    part.write_bytes(b"lo")
    lake.commit_batch("one", clips({**clip("a"), "media_path": old}), None)
    lake.commit_batch("two", clips({**clip("a"), "media_path": new}), None)
    listed = list(orphans(lake))
    assert listed == sorted(
        [
            Orphan(lost, 4, False),
            Orphan(part.relative_to(lake.storage).as_posix(), 2, True),
        ],
        key=lambda orphan: orphan.media_path,
    )
    assert part.is_file()
