"""Connecting to Ray."""

import json
import subprocess
import sys

from hummingbird.config.quiet_ray import LEVELS

ASK = """
import json, logging, ray
from hummingbird.config.cluster import RaySettings, connect
connect(RaySettings(num_cpus=1))
levels = ray.remote(lambda names: {name: logging.getLogger(name).level for name in names})
print(json.dumps(ray.get(levels.remote(%r))))
"""


def test_workers_of_a_local_instance_keep_quiet_what_is_said_again_and_again() -> None:
    # In a process of its own: this one may have an instance already.
    done = subprocess.run(
        [sys.executable, "-c", ASK % list(LEVELS)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == LEVELS
