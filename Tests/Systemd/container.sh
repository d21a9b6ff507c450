# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A Debian with systemd as process 1, in a container, beside a client in a network namespace of its own (the caller's).
# The two are joined by a veth pair: client0 here, edge0 there, which is there before the container's first process.
# Sourced; needs $work, a folder for all that comes of it, and $root, the container's root.
# shellcheck disable=SC2034,SC2154

edge=10.9.0.1 client=10.9.0.2

# Starts the container and waits until its boot is over. As after a reboot, the bpffs and the interface are new.
boot() {
    mountpoint -q "$work/bpf" && umount "$work/bpf"
    mkdir -p "$work/bpf" && mount -t bpf -o mode=0700 bpf "$work/bpf" || return
    systemd-nspawn --quiet --boot --directory "$root" --machine sluice-test --register=no --keep-unit --console=pipe \
        --capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON,CAP_SYS_ADMIN,CAP_SYS_RESOURCE --system-call-filter='bpf perf_event_open pidfd_getfd' \
        --bind="$work/bpf:/sys/fs/bpf" --network-veth-extra=client0:edge0 < /dev/null >> "$work/console" 2>&1 &
    nspawn=$!
    until_true 'client0' ip link set client0 up || return
    ip address add "$client/24" dev client0
    until_true 'the boot' booted
}

# Its first process has another id each time that is asked, until systemd-nspawn has got to it.
booted() {
    leader=$(pgrep -P "$nspawn") && [[ $(inside systemctl is-system-running 2> /dev/null) =~ running|degraded ]]
}

# Asks the container to reboot, which ends it with status 133, and boots it again.
reboot_container() {
    inside systemctl reboot >> "$work/console" 2>&1
    wait "$nspawn"
    [[ $? -eq 133 ]] || return
    boot
}

power_off() {
    inside systemctl poweroff >> "$work/console" 2>&1
    wait "$nspawn"
}

# inside COMMAND...: runs it in the container, with none of our environment.
inside() {
    nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup --wd=/ \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}

# until_true WHAT COMMAND...: waits for it, a minute at most.
until_true() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < end)) || { echo "waited a minute for: $what" >&2 && return 1; }
        sleep 0.05
    done
}

# property NAME [UNIT]: what systemd says of a unit.
property() { inside systemctl show --property "$1" --value "${2:-sluiced.service}"; }
is_active() { [[ $(property ActiveState) == active ]]; }
is_idle() { [[ $(property ActiveState) == inactive ]]; }

# A chain of volumetric-dos that drops UDP to port 7; further stages may be added to it. chain HOOK VERSION [LINE...]
chain() {
    printf 'chains:\n  - hook: %s\n' "$1"
    [[ $# -lt 3 ]] || printf '    %s\n' "${@:3}"
    printf '    stages:\n      - name: dos\n        plugin: volumetric-dos\n        version: "%s"\n' "$2"
    printf '        config: {rules: [{name: blocked, protocol: udp, destination-port: 7}]}\n'
}

state() { ctl status "$1" --output json | jq -r .state; }
live() { [[ $(state "$1") == live ]]; }
generation() { ctl status xdp:edge0 --output json | jq .live; }

# ctl VERB...: sluicectl in the container; which verbs were tried is kept.
ctl() {
    local verb=$1
    [[ $1 != map && $1 != canary && $1 != rule && $1 != lb && $1 != policy && $1 != socket ]] || verb="$1 $2"
    echo "$verb" >> "$work/tried"
    inside sluicectl "$@"
}
