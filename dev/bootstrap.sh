#!/usr/bin/env bash
# Makes the project's Python environment in .venv. Installs the venv module with apt where that is missing and possible.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'podl: %s\n' "$*" >&2; }

python=${PODL_PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
    say "Python 3.10 or newer is needed (command '$python' not found). Debian/Ubuntu: apt-get install python3 python3-venv"
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    say "Python 3.10 or newer is needed, '$python' is $("$python" -V). Name another one with PODL_PYTHON=..."
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -q && apt-get install -qy python3-venv
    elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
        sudo apt-get update -q && sudo apt-get install -qy python3-venv
    else
        say "Python's venv module is missing. Debian/Ubuntu: sudo apt-get install python3-venv"
        exit 1
    fi
fi
# An interrupted run may have left an environment without pip.
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
say "installing Python packages into .venv (TensorFlow is large: this can take some minutes)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' || {
    say "the Python packages could not be installed, pip's reason is above; the next run goes on from here"
    exit 1
}
