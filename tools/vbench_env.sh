#!/usr/bin/env bash
# Makes .venv-vbench, the environment of VBench's own package (evaluate.suite="{vbench: {official: ...}}"), and says which
# of its dimensions can be imported. The package fetches the weights that it measures with when it first needs them, into
# VBENCH_CACHE_DIR. Four dimensions need detectron2, which is built from source: DETECTRON2 names what pip takes for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
env=${VBENCH_ENV:-.venv-vbench}

rm -rf "$env"
"$python" -m venv "$env"
# transformers 4.33.2, which the package pins, has wheels up to Python 3.11.
"$env/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] > (3, 11))' ||
	{ echo "Python 3.11 or older is needed: make vbench-env PYTHON=python3.11"; exit 1; }
"$env/bin/python" -m pip install --quiet vbench==0.1.5 torch==2.13.0 torchvision==0.28.0
# CLIP asks pkg_resources for packaging, which newer ones no longer bring. torch asks for newer ones, to build with.
"$env/bin/python" -m pip install --quiet 'setuptools<70' 2>/dev/null
if [ -n "${DETECTRON2:-}" ]; then
	"$env/bin/python" -m pip install --quiet --no-build-isolation "$DETECTRON2"
fi
site=$("$env/bin/python" -c 'import site; print(site.getsitepackages()[0])')
if ! "$env/bin/python" -c 'import torchvision' 2>/dev/null; then # its wheel for CUDA beside torch's CPU build
	cp tests/caption_vllm/torchvision_schemas.py "$site"
	echo 'import torchvision_schemas' >"$site/torchvision_schemas.pth"
fi
"$env/bin/python" - <<'CHECK'
import importlib
import os
import warnings

warnings.simplefilter("ignore")
importable = []
for name in (
    "subject_consistency background_consistency temporal_flickering motion_smoothness dynamic_degree aesthetic_quality "
    "imaging_quality object_class multiple_objects human_action color spatial_relationship scene appearance_style "
    "temporal_style overall_consistency"
).split():
    try:
        importlib.import_module(f"vbench.{name}")
        importable.append(name)
    except ImportError as error:
        print(f"{name} cannot be measured: {error}")
print(f"{len(importable)} of 16 dimensions can be imported")
CHECK
echo "evaluate.suite=\"{vbench: {official: $(realpath -s "$env")/bin/python}}\""
