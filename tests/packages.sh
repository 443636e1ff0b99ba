#!/bin/sh
# Makes an environment with a public driver of instruments, and installs what the tests of Slurm, SSH and the Sweep page
# need on Debian, without starting its services; they start their own on loopback. Where that cannot be done they are
# skipped, and this says so.
PATH="$PATH:/usr/sbin:/sbin"
root=$(cd "$(dirname "$0")/.." && pwd)

# pymeasure for the test of the adapter, in an environment of its own that sees ours
public_drivers() {
    ours="$root/.venv/bin/python" theirs="$root/.venv-pymeasure"
    [ -x "$ours" ] || return 0
    "$theirs/bin/python" -c "import pymeasure, spinsweep" 2>/dev/null && return 0
    echo "making $theirs, with pymeasure" >&2
    rm -rf "$theirs"
    packages="import sysconfig; print(sysconfig.get_path('purelib'))"
    "$ours" -m venv "$theirs" &&
        echo "import site; site.addsitedir('$("$ours" -c "$packages")')" \
            >"$("$theirs/bin/python" -c "$packages")/ours.pth" &&
        "$theirs/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "pymeasure==0.16.0" >&2 ||
        echo "*** pymeasure cannot be installed: the test of its instruments will be skipped" >&2
}
public_drivers

wanted=""
command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v sbatch >/dev/null ||
    wanted="$wanted slurm-wlm munge"
command -v munged >/dev/null || wanted="$wanted munge"
command -v sshd >/dev/null && command -v ssh-keygen >/dev/null || wanted="$wanted openssh-server openssh-client"
command -v chromium >/dev/null && command -v chromedriver >/dev/null || wanted="$wanted chromium chromium-driver"
command -v ip >/dev/null || wanted="$wanted iproute2"
[ -z "$wanted" ] && exit 0

skipped() {
    echo "*** $1:$wanted" >&2
    echo "*** THE TESTS THAT NEED THEM WILL BE SKIPPED (Slurm: sweeps on a batch system; SSH: sweeps on hosts;" >&2
    echo "*** Chromium: the Sweep page)" >&2
    exit 0
}
command -v apt-get >/dev/null || skipped "no apt-get on this machine to install"
[ "$(id -u)" = 0 ] || skipped "only root can install (sudo sh $0)"

policy=/usr/sbin/policy-rc.d # asked by Debian before it starts a service
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
echo "installing$wanted" >&2
# shellcheck disable=SC2086
{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $wanted; } >&2 ||
    skipped "apt-get failed to install"
