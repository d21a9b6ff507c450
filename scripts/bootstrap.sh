#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a Debian 12 that has the Swift toolchain able to build, test and show Sluice. Installs only what is missing;
# as another user than root it says what that is. Usage: scripts/bootstrap.sh [systemd|kernels|testbed], which asks for
# what `make test-systemd`, `make test-kernels`, or `make testbed-lb` and `make testbed-udp` need too.
set -euo pipefail

build=(make git binutils ca-certificates pkg-config libc6-dev linux-libc-dev libbpf-dev libsystemd-dev libmd-dev libsqlite3-dev)
# systemd: systemd-socket-activate and systemd-analyze. util-linux: setpriv, unshare. libcap2-bin: capsh.
# xdp-tools: objects that nobody wrote for Sluice, to adopt. python3, curl, openssl: services and tools of tests.
run=(systemd iproute2 util-linux libcap2-bin bpftool procps jq sqlite3 xdp-tools python3 curl openssl ethtool)
lint=(clang-format shellcheck)
container=(systemd-container debootstrap socat)
# Servers to balance, and clients. Debian starts what it installs; nothing of these is wanted but the programs.
servers=(nginx-light dnsmasq-base unbound bind9-dnsutils dnsperf iputils-ping)
machine=(qemu-system-x86 debootstrap busybox-static cpio e2fsprogs kmod xz-utils)

say() { printf 'bootstrap: %s\n' "$*" >&2; }

if ! command -v swift > /dev/null; then
    say "no Swift toolchain in PATH: install Swift 6.3 or later, see https://www.swift.org/install/linux/"
    exit 1
fi
if ! command -v dpkg-query > /dev/null; then
    say "not a Debian: install what these packages hold, then go on: ${build[*]} ${run[*]} ${lint[*]}"
    exit 0
fi

wanted=("${build[@]}" "${run[@]}" "${lint[@]}")
[[ ${1:-} != systemd ]] || wanted+=("${container[@]}")
[[ ${1:-} != kernels ]] || wanted+=("${machine[@]}")
[[ ${1:-} != testbed ]] || wanted+=("${servers[@]}")
missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
    [[ $state == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ $EUID -ne 0 ]]; then
    say "not root; as root, run: apt-get install ${missing[*]}"
    exit 1
fi
say "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
if [[ ${1:-} == testbed && ! -e /usr/sbin/policy-rc.d ]]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
fi
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends "${missing[@]}"
