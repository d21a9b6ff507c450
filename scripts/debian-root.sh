#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a plain Debian of this machine's release in a folder of the cache (~/.cache/sluice), once, and prints the folder:
# what containers and virtual machines of the tests are copied from. One that is not as its packages say any more is made
# anew. Root only. Usage: scripts/debian-root.sh
set -euo pipefail

packages=(
    systemd systemd-sysv dbus udev # an init, for real
    iproute2 util-linux procps kmod libcap2-bin jq sqlite3 bpftool xdp-tools python3 curl openssl ethtool # what the product and its tests run
    libbpf1 libmd0 libsqlite3-0 libstdc++6 # what they are linked to
)
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
# Another list of packages is another folder.
folder=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sluice/$suite-$(sha256sum <<< "${packages[*]}" | head -c 12)

is_whole() { [[ -d $folder ]] && faults=$(dpkg --root="$folder" --verify 2>&1) && [[ -z $faults ]]; }

mkdir -p "${folder%/*}"
exec 9> "${folder%/*}/lock" && flock 9
if ! is_whole; then
    # shellcheck disable=SC2016 # apt-get fills it in
    # The machine's own mirror, if it has one.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Component: main' 2> /dev/null | head -n 1)
    list=$(IFS=, && echo "${packages[*]}")
    rm -rf -- "$folder" "$folder.new"
    debootstrap --variant=minbase --include="$list" "$suite" "$folder.new" "${mirror:-http://deb.debian.org/debian}" >&2
    find "$folder.new"/var/{cache/apt/archives,lib/apt/lists} "$folder.new/etc/machine-id" -type f -delete
    mv -- "$folder.new" "$folder"
fi
echo "$folder"
