#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sluice under systemd, for real: boots Debian in a container, installs the product there, and holds it to what it
# promises, a line a check. Ends with 1 if one fails. Root only; touches nothing of the machine's own.
# Usage: Tests/Systemd/run.sh [--build-dir DIR] [--boot]
#   --build-dir DIR  takes that build instead of what `make install` makes
#   --boot           measures how long it takes from boot to filtering instead
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

if [[ $(id -u) -ne 0 ]]; then
    echo 'test-systemd: needs root, for a container' >&2
    exit 1
fi

build='' suite=suite.sh
while (($#)); do
    case $1 in
        --build-dir) build=$(realpath "$2") && shift 2 ;;
        --boot) suite=boot.sh && shift ;;
        *) echo "test-systemd: unknown option \"$1\"; known: --build-dir --boot" >&2 && exit 64 ;;
    esac
done

if [[ ! ${SLUICE_SYSTEMD_TEST:-} ]]; then
    work=$(mktemp -d /tmp/sluice-systemd-XXXXXX) root=$work/root
    # shellcheck source=Tests/Systemd/cgroups.sh
    . Tests/Systemd/cgroups.sh
    trap 'leave_cgroups; rm -rf -- "$work"' EXIT
    # shellcheck source=Tests/Systemd/install.sh
    . Tests/Systemd/install.sh
    if ! install_product > "$work/install" 2>&1; then
        cat "$work/install" >&2
        exit 1
    fi
    echo "test-systemd: installed ($SECONDS s)"
    # Namespaces of our own: whatever is mounted, made or started in them goes with them, however this ends.
    enter_cgroups
    export SLUICE_SYSTEMD_TEST=$work SLUICE_SYSTEMD_SUITE=$suite
    unshare --mount --net --pid --fork --kill-child --mount-proc Tests/Systemd/run.sh
    exit
fi

work=$SLUICE_SYSTEMD_TEST root=$work/root
receivers=()
# shellcheck source=Tests/Systemd/container.sh
. Tests/Systemd/container.sh

# Ends all when there is nothing to be tried.
need() {
    "$@" && return
    echo "test-systemd: failed: $*" >&2
    tail -n 20 "$work/console" >&2
    exit 1
}

need boot
# shellcheck source=Tests/Systemd/suite.sh
. "Tests/Systemd/$SLUICE_SYSTEMD_SUITE"
