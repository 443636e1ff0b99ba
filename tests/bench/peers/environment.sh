#!/bin/sh
# Makes .venv-peers, an environment with spinsweep and what it is compared with (2 GB, some minutes), unless it is
# there. What cannot be installed is left out of the comparisons, and this says so.
cd "$(dirname "$0")/../../.." || exit 1
here=tests/bench/peers
ready=.venv-peers/.ready
newer() { for file in $here/requirements.txt $here/alone.txt constraints.txt pyproject.toml; do
    [ "$ready" -nt "$file" ] || return 1; done; }
[ -e $ready ] && newer && exit 0

"${PYTHON:-python3}" -m venv .venv-peers || exit 1
pip=".venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt"
echo "installing spinsweep and what it is compared with into .venv-peers: some minutes, which pip spends in silence"
$pip -e . || exit 1
whole=yes
if ! $pip -r $here/requirements.txt; then  # one that cannot be had hinders no other one
    whole=no
    sed -e 's/ *#.*//' -e '/^$/d' $here/requirements.txt | while read -r each; do
        $pip "$each" || echo "*** $each COULD NOT BE INSTALLED: WHAT NEEDS IT IS LEFT OUT" >&2
    done
fi
sed -e 's/ *#.*//' -e '/^$/d' $here/alone.txt | while read -r each; do
    $pip --no-deps "$each" || echo "*** $each COULD NOT BE INSTALLED: IT IS LEFT OUT" >&2
done
[ $whole = yes ] && touch $ready
exit 0
