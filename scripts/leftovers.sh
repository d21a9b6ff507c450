#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lists what tests and the demo could leave behind on this machine, a line each: namespaces, mounts, BPF objects, folders,
# cgroups and processes of Sluice's names. Run it before and after, and compare. Usage: scripts/leftovers.sh
set -u

{
    find /run/netns /sys/fs/bpf -mindepth 1 -maxdepth 3 2> /dev/null | sed 's/^/path: /'
    find /tmp -maxdepth 1 -name 'sluice*' | sed 's/^/path: /'
    find /sys/fs/cgroup -maxdepth 2 -type d \( -name 'sluice*' -o -name payload -o -name supervisor \) | sed 's/^/path: /'
    grep -E ' bpf | /run/netns' /proc/self/mountinfo | awk '{ print "mount: " $5 }'
    ip -o link show type veth 2> /dev/null | awk -F': ' '{ print "interface: " $2 }'
    for kind in prog map link; do
        bpftool --json "$kind" show 2> /dev/null \
            | jq -r --arg kind "$kind" '.[]? | select((.name // .type // "") | test("^sluice|xdp")) | "bpf \($kind): \(.name // .type)"'
    done
    ps -eo comm= | awk '/^(sluice|noop|volumetric|fixture)/ { print "process: " $1 }'
} | sort
