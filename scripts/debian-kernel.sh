#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches one of Debian's kernels for virtual machines, once a version, and prints the folder it lies in: `vmlinuz`,
# `release` (what `uname -r` says) and `lib/modules`. apt is asked with lists and a cache of its own: the machine's are
# not touched. Usage: scripts/debian-kernel.sh SERIES, such as 6.1; or `newest`, of all that Debian offers.
set -euo pipefail

series=$1
suites=(bookworm{,-security,-backports} trixie{,-security,-backports})
meta=linux-image-cloud-amd64
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice/kernels

mkdir -p "$cache"/apt/lists/partial "$cache"/apt/archives/partial
exec 9> "$cache/lock" && flock 9

# mirror SUITE: where the machine itself gets that kind of suite from.
mirror() {
    local release found
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    case $1 in
        *-security) set -- "$release-security" http://deb.debian.org/debian-security ;;
        *) set -- "$release" http://deb.debian.org/debian ;;
    esac
    # shellcheck disable=SC2016 # apt-get fills it in
    found=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $1" 'Component: main' 2> /dev/null | head -n 1)
    echo "${found:-$2}"
}
for suite in "${suites[@]}"; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror "$suite") $suite main"
done > "$cache/apt/sources.list"
apt=(-q -o "Dir::Etc::SourceList=$cache/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$cache/apt"
    -o Dir::State::status=/dev/null -o "Dir::Cache=$cache/apt" -o Acquire::Languages=none -o Acquire::Retries=3
    -o APT::Sandbox::User=root)
if [[ ! $(find "$cache/apt/updated" -mmin -60 2> /dev/null) ]]; then
    # Without a network, what was found before will do.
    if apt-get "${apt[@]}" update >&2; then touch "$cache/apt/updated"; fi
fi

version=$(apt-cache "${apt[@]}" madison "$meta" | awk -F ' *[|] *' '{ print $2 }' \
    | { [[ $series == newest ]] && cat || grep "^${series//./\\.}\." || true; } | sort --version-sort | tail -n 1)
if [[ ! $version ]]; then
    echo "debian-kernel: no $meta of '$series' in ${suites[*]}" >&2
    exit 1
fi
folder=$cache/$version
if [[ ! -d $folder ]]; then
    # linux_packages PACKAGE[=VERSION]: those it depends on that hold a kernel or its modules.
    linux_packages() {
        apt-cache "${apt[@]}" show "$1" | sed -n 's/^Depends: //p' | tr ',' '\n' \
            | awk '$1 ~ /^linux-(image|binary|modules)-[0-9]/ { print $1 }'
    }
    image=$(linux_packages "$meta=$version")
    mapfile -t parts < <(echo "$image" && linux_packages "$image")
    rm -rf -- "$folder.new" && mkdir -p "$folder.new/packages"
    (cd "$folder.new/packages" && apt-get "${apt[@]}" download "${parts[@]}" >&2)
    for package in "$folder.new"/packages/*.deb; do dpkg-deb --extract "$package" "$folder.new/root"; done
    mkdir "$folder.new/lib"
    mv -- "$(find "$folder.new/root" -type d -path '*/lib/modules')" "$folder.new/lib/"
    mv -- "$(find "$folder.new/root" "$folder.new/lib" -type f -name 'vmlinuz*')" "$folder.new/vmlinuz"
    ls "$folder.new/lib/modules" > "$folder.new/release"
    depmod --basedir "$folder.new" "$(< "$folder.new/release")"
    rm -rf -- "$folder.new/packages" "$folder.new/root"
    mv -- "$folder.new" "$folder"
fi
echo "$folder"
