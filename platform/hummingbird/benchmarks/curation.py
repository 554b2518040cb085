"""The benchmark of curation: Ray on one and more workers against a plain loop over the same functions.

Captions go through Ray in either. A contestant has as many cores as workers, the plain loop one: what Ray needs for
itself counts, and is not done on cores that nobody has counted.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from hummingbird.config.settings import Settings
from hummingbird.core.background import every
from hummingbird.core.devices import describe_device
from hummingbird.core.errors import InputError
from hummingbird.lake.runs import open_run
from hummingbird.shapes.footage import make_footage

_MIB = 1 << 20
_LOOK = 0.5  # seconds between looks at the memory

# A process of its own for each contestant: nothing is warm, and its peak memory is its own.
_RUN = """
import json, os, re, sys, time
os.sched_setaffinity(0, json.loads(sys.argv[1]))  # before anything starts a thread or a process
from pathlib import Path
from hummingbird.config.settings import Settings
from hummingbird_data.curate import curate
settings = Settings.model_validate_json(sys.stdin.read())
from hummingbird.config.cluster import connect
connect(settings.ray)
started = time.monotonic()
result = curate(settings)
seconds = time.monotonic() - started
# Not getrusage's: that begins with the size of the process that started this one.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)) / 1024
print(json.dumps({"result": str(result), "seconds": seconds, "driver_mib": peak}))
"""


def curate_benchmark(settings: Settings) -> Path:
    """Times curation of footage of the shapes world; returns the path of ``result.json``.

    Metrics, by contestant (``plain``, ``1 worker``, ...): ``clips`` made, ``seconds`` in all (from sources to the
    last commit; Ray is up before), ``clips_per_second`` in all and, of one process, by stage; ``decoding``, the
    share of the stages' time; ``driver_mib``, the driver's peak of resident memory, and ``private_mib``, the peak of
    what all its processes have for themselves. ``speedup``: over the plain loop. ``ceiling``, by workers: what as many
    plain loops that know nothing of each other do together, over one alone; cores that share caches or are two threads
    of one stay below their number. ``memory``: the peaks for as many files again and again under other names, on the
    last number of workers.

    Raises:
        InputError: there are fewer cores than workers.
        RuntimeError: a contestant failed.
    """
    s = settings.curate_benchmark
    if max(s.workers) > len(_cores()):
        raise InputError(
            f"curate_benchmark.workers={list(s.workers)}, but there are {len(_cores())} cores here"
        )
    models = settings.models.model_copy(
        update={
            "captioner": settings.models.captioner or "shapes-captioner",
            "quality": settings.models.quality or "shapes-quality",
        }
    )
    settings = settings.model_copy(update={"models": models})
    with open_run(settings, "curate_benchmark", inputs={"device": describe_device()}) as run:
        footage = run.folder / "footage"
        make_footage(footage, settings.footage.model_copy(update={"files": s.files, "seed": s.seed}))
        figures = {}
        for workers in (None, *s.workers):
            name = "plain" if workers is None else f"{workers} worker{'s' if workers > 1 else ''}"
            figures[name] = _time(run.folder, settings, footage, workers)
            _print(name, figures[name])
        ceiling = {}
        for workers in s.workers:
            if workers > 1:
                rate = _side_by_side(run.folder, settings, footage, workers)
                ceiling[str(workers)] = rate / figures["plain"]["clips_per_second"]
                print(
                    f"{workers} plain loops side by side do {ceiling[str(workers)]:.2f} times what one does"
                )
        memory = {}
        for times in (1, s.growth):
            grown = _grow(footage, run.folder / f"times-{times}", s.growth_files, times)
            measured = _time(run.folder, settings, grown, s.workers[-1])
            memory[f"{times}x"] = {
                name: measured[name] for name in ("files", "clips", "driver_mib", "private_mib")
            }
            print(f"{times}x input: {memory[f'{times}x']}")
        run.metrics.update(
            contestants=figures,
            ceiling=ceiling,
            speedup={name: figures["plain"]["seconds"] / times["seconds"] for name, times in figures.items()},
            memory=memory,
            device=describe_device(),
        )
    return run.result_path


def _cores() -> list[int]:
    """The cores that this process may use, by number."""
    return sorted(os.sched_getaffinity(0))


def _time(
    folder: Path, settings: Settings, source: Path, workers: int | None = None, first: int = 0
) -> dict[str, Any]:
    """Curates ``source`` into a lake of its own, new each time.

    Args:
        workers: CPUs of Ray, none: the plain loop.
        first: which core is the first that it has.
    """
    storage = folder / "lakes" / f"{source.name}-{workers or 'plain'}-{time.time_ns()}"
    curating = settings.curate.model_copy(update={"source": source, "engine": "ray" if workers else "plain"})
    tree = settings.model_copy(
        update={
            "storage": storage,
            "curate": curating,
            "ray": settings.ray.model_copy(update={"num_cpus": workers or 1, "address": None}),
        }
    )
    # One thread a process, in all contestants alike.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)
    cores = _cores()[first : first + (workers or 1)]
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, json.dumps(cores)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    peak = _Peak(process.pid)
    with every(_LOOK, peak.look, "memory"):
        out, _ = process.communicate(tree.model_dump_json())
    if process.returncode:
        raise RuntimeError(f"curation of {source} on {workers or 'no'} workers failed; see above")
    measured = json.loads(out.splitlines()[-1])
    metrics = json.loads(Path(measured["result"]).read_text(encoding="utf-8"))["metrics"]
    stages = metrics["stages"]
    work = sum(stage["seconds"] for name, stage in stages.items() if name != "decoding")
    clips = metrics["kept"] + metrics["dropped"]
    return {
        "files": metrics["sources"],
        "clips": clips,
        "seconds": measured["seconds"],
        "clips_per_second": clips / measured["seconds"],
        "stages": {name: s["clips_per_second"] for name, s in stages.items() if name != "decoding"},
        "decoding": stages["decoding"]["seconds"] / work,
        "driver_mib": measured["driver_mib"],
        "private_mib": peak.mib,
    }


def _side_by_side(folder: Path, settings: Settings, source: Path, loops: int) -> float:
    """Clips a second of ``loops`` plain loops together, each over all of ``source`` on a core of its own."""
    with ThreadPoolExecutor(loops) as threads:
        timed = threads.map(lambda core: _time(folder, settings, source, first=core), range(loops))
        return sum(float(loop["clips_per_second"]) for loop in timed)


def _grow(footage: Path, folder: Path, files: int, times: int) -> Path:
    """The first ``files`` of the footage, ``times`` over under other names."""
    folder.mkdir(exist_ok=True)
    for path in sorted(footage.glob("*.mp4"))[:files]:
        for number in range(times):
            target = folder / f"{number:03d}-{path.name}"
            if not target.exists():
                os.link(path, target)
    return folder


class _Peak:
    """The most memory that a process and its children had for themselves at any look."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self.mib = 0.0

    def look(self) -> None:
        """Takes the memory now."""
        total = 0
        with suppress(psutil.NoSuchProcess):
            for process in (self._root, *self._root.children(recursive=True)):
                with suppress(psutil.Error):  # it has ended
                    memory = process.memory_info()
                    total += memory.rss - memory.shared
        self.mib = max(self.mib, total / _MIB)


def _print(name: str, figures: dict[str, Any]) -> None:
    stages = ", ".join(f"{stage} {rate:.2f}" for stage, rate in figures["stages"].items())
    print(
        f"{name:10} {figures['clips']} clips in {figures['seconds']:.1f} s: {figures['clips_per_second']:.2f} clips/s; "
        f"decoding {figures['decoding']:.0%} of the stages' time; a process does, in clips/s: {stages}"
    )
