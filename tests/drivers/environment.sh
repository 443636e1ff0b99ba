#!/bin/sh
# Makes .venv-drivers, an environment with public drivers of the emulated instruments (700 MB, some minutes), unless it
# is there. Where that cannot be done the tests of these drivers are skipped, and this says so.
cd "$(dirname "$0")/../.." || exit 1
[ -e .venv-drivers/.ready ] && [ .venv-drivers/.ready -nt tests/drivers/requirements.txt ] && exit 0

skipped() {
    echo "*** $1: THE TESTS OF PUBLIC DRIVERS WILL BE SKIPPED" >&2
    rm -f .venv-drivers/.ready
    exit 0
}
"${PYTHON:-python3}" -m venv .venv-drivers || skipped "no environment could be made"
pip=".venv-drivers/bin/python -m pip install --quiet --disable-pip-version-check"
$pip -r tests/drivers/requirements.txt || skipped "the public drivers could not be installed"
$pip --no-deps instrumentkit==0.6.0 || skipped "InstrumentKit could not be installed"
touch .venv-drivers/.ready
