"""Manifests of every format give the same rows, whatever their captions look like."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hummingbird.core.errors import InputError
from hummingbird_data.sources.manifests import ManifestColumns, is_manifest, read_manifest

ROWS = [("b.mp4", "two\nlines, a comma"), ("a.mp4", "2024"), ("s3://bucket/c.mp4", "NA"), ("/x/d.mp4", "")]
CSV = 'uri,caption\nb.mp4,"two\nlines, a comma"\na.mp4,2024\ns3://bucket/c.mp4,NA\n/x/d.mp4,\n'


def write(folder: Path, kind: str) -> Path:
    path = folder / f"videos.{kind}"
    lines = "".join(json.dumps({"uri": uri, "caption": caption}) + "\n" for uri, caption in ROWS)
    if kind == "parquet":
        pq.write_table(pa.table(dict(zip(("uri", "caption"), zip(*ROWS, strict=True), strict=True))), path)
    elif kind.endswith(".gz"):
        path.write_bytes(gzip.compress((CSV if kind.startswith("csv") else lines).encode()))
    else:
        path.write_text(CSV if kind == "csv" else lines)
    return path


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"])
@pytest.mark.parametrize("remote", [False, True])
def test_every_format_gives_uris_and_captions(tmp_path: Path, kind: str, remote: bool) -> None:
    path = write(tmp_path, kind)
    root = f"file://{tmp_path}" if remote else str(tmp_path)
    assert is_manifest(path.name)
    assert list(read_manifest(f"{root}/{path.name}", ManifestColumns())) == [
        (f"{root}/b.mp4", "two\nlines, a comma"),
        (f"{root}/a.mp4", "2024"),
        ("s3://bucket/c.mp4", "NA"),
        ("file://x/d.mp4" if remote else "/x/d.mp4", None),
    ]


def test_uris_are_made_of_several_columns_below_another_root(tmp_path: Path) -> None:
    (tmp_path / "webvid.csv").write_text("videoid,page_dir,name\n17,0001_0050,a cat\n")
    columns = ManifestColumns("{page_dir}/{videoid}.mp4", "name", "s3://videos/all/")
    assert list(read_manifest(str(tmp_path / "webvid.csv"), columns)) == [
        ("s3://videos/all/0001_0050/17.mp4", "a cat")
    ]
    (tmp_path / "vidgen.jsonl").write_text('{"vid": "abc"}\n')
    none = ManifestColumns("{vid}.mp4", None)
    assert list(read_manifest(str(tmp_path / "vidgen.jsonl"), none)) == [(f"{tmp_path}/abc.mp4", None)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "video,text\nx,y\n", "no column uri, caption"),
        ("a.jsonl", '{"video": "x"}\n', "row 1 has no uri .*it has video"),
        ("b.jsonl", '{"uri": "x"}\n', "no row has caption"),
        ("c.jsonl", '{"uri": "x", "caption": null}\n{broken\n', "after row 1"),
        ("d.csv", "uri,caption\nx,y\n,z\n", "row 2 has no uri"),
        ("e.parquet", "no parquet", "cannot read"),
        ("f.csv", "", "cannot read"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        list(read_manifest(str(tmp_path / name), ManifestColumns()))
