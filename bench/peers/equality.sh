#!/bin/sh
# equality.sh [ARGUMENTS of pytorch_equality.py]: the same training here and in PyTorch, from the same start, compared.
# Makes its own virtual environment in bench/peers/venv the first time (a download of 550 MB, 1.5 GB on the disk), from
# PyPI alone. Needs python3 with venv (Debian: python3-venv), gcc and binutils.
#
# PyPI's PyTorch for Linux asks for CUDA's libraries, several GB that a comparison on the CPU never calls. So it is
# installed without its dependencies, and without_cuda.py puts empty libraries in their places. The version is pinned:
# of those tried, it is the smallest download.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venv=$here/venv
torch=torch==2.13.0

if [ ! -e "$venv/ready" ]; then
  echo "equality: making $venv" >&2
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$torch"
  "$venv/bin/python" "$here/without_cuda.py" "$venv/no-cuda"
  touch "$venv/ready"
fi
LD_LIBRARY_PATH=$venv/no-cuda exec "$venv/bin/python" "$here/pytorch_equality.py" "$@"
