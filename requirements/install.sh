#!/bin/sh
# A virtual environment with everything this machine needs: install.sh PYTHON VENV (`make setup`).
#
#   TORCH_INDEX=URL  take torch from this package index, such as PyTorch's own for CPU builds
#   TORCH=cuda       take pip's default build even where no NVIDIA GPU is seen
#
# On Python 3.12 and 3.13 pip's default build of torch for x86-64 is a CUDA build of several
# gigabytes, which nobody gets unasked: without a GPU one of the two must be said.
set -eu
python=$1
venv=$2
cd "$(dirname "$0")/.."

if ! version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); then
    echo "$python does not run; give another: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
fi
case $version in
    3.11 | 3.12 | 3.13) ;;
    *)
        echo "$python is Python $version; SOAE Studio needs 3.11, 3.12 or 3.13" >&2
        exit 1
        ;;
esac
has_gpu=no
if command -v nvidia-smi >/dev/null; then has_gpu=yes; fi

if [ "$version" != 3.11 ] && [ "$has_gpu" = no ] && [ -z "${TORCH_INDEX:-}" ] &&
    [ "${TORCH:-}" != cuda ]; then
    cat >&2 <<MESSAGE
No NVIDIA GPU is seen, and on Python $version pip would fetch a CUDA build of torch (gigabytes).
Choose one:
    make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu   the CPU build, from PyTorch's index
    make setup TORCH=cuda                                         pip's default build all the same
    make setup PYTHON=python3.11                                  the version CI runs
MESSAGE
    exit 1
fi

"$python" -m venv "$venv"
# Everything by version and hash; `make lock` made the files and says how.
locked() {
    "$venv/bin/pip" install --quiet --no-deps --require-hashes --requirement "requirements/$1.txt"
}
if [ -n "${TORCH_INDEX:-}" ]; then
    # From an index of the caller's choice, so the hashes of its files are not known here.
    torch=$(grep '^torch==' requirements/pipeline.in)
    "$venv/bin/pip" install --quiet --no-deps --index-url "$TORCH_INDEX" "$torch"
elif [ "$has_gpu" = no ] && [ "${TORCH:-}" != cuda ]; then
    # Where there is none, `dev` brings the index's own build.
    locked torch-cpu 2>/dev/null || true
fi
locked dev
if [ "$has_gpu" = yes ]; then
    # Not checked by pip: vLLM declares an older numpy than it runs with (requirements/lock.py).
    locked gpu
    exit
fi
if "$venv/bin/pip" show torch | grep -q nvidia-; then
    locked torch-cuda
fi
"$venv/bin/pip" check
