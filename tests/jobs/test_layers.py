"""The jobs stand on top: scripts without logic, which the packages never import."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jobs").glob("*.py"))


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.stem)
def test_a_job_holds_no_class_and_imports_no_other_job(job: Path) -> None:
    tree = ast.parse(job.read_text())
    names = {path.stem for path in JOBS}
    for node in ast.walk(tree):
        assert not isinstance(node, ast.ClassDef), f"{job.name} defines {getattr(node, 'name', '')}"
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.module.partition(".")[0] not in names | {"jobs"}
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & (names | {"jobs"})


def test_the_packages_import_no_job() -> None:
    names = {path.stem for path in JOBS} | {"jobs"}
    for package in ("platform/hummingbird", "data/hummingbird_data", "serve/hummingbird_serve"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    assert node.module.partition(".")[0] not in names, file
