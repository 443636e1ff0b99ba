#!/bin/sh
# Installs what the tests of Slurm, SSH and the Sweep page need on Debian, without starting its services; they start
# their own on loopback. Where that cannot be done they are skipped, and this says so.
PATH="$PATH:/usr/sbin:/sbin"
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
