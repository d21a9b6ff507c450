# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
# What must hold under systemd, a function a check; each ends with 0 when it does. Sourced after container.sh.

# A chain of volumetric-dos that drops UDP to port 7. chain HOOK VERSION [LINE...]
chain() {
    printf 'chains:\n  - hook: %s\n' "$1"
    [[ $# -lt 3 ]] || printf '    %s\n' "${@:3}"
    printf '    stages:\n      - name: dos\n        plugin: volumetric-dos\n        version: "%s"\n' "$2"
    printf '        config: {rules: [{name: blocked, protocol: udp, destination-port: 7}]}\n'
}

live() { [[ $(ctl status "$1" --output json | jq -r .state) == live ]]; }
generation() { ctl status xdp:edge0 --output json | jq .live; }
# What the kernel runs at the hook: the root's link and program and the live generation's programs.
pinned() { inside find /sys/fs/bpf/sluice -type f | sort; }
link_id() { inside bpftool --json link show pinned /sys/fs/bpf/sluice/xdp:edge0/link | jq .id; }

# -- the life of the daemon

first_call_starts_it() {
    inside systemctl stop sluiced.service
    inside systemctl is-active sluiced.service && return 1
    ctl version
    is_active && [[ $(property NRestarts) -eq 0 ]]
}

idle_exit() {
    until_true 'the idle exit' is_idle
    [[ $(property Result) == success && $(property ExecMainStatus) -eq 0 ]]
    filters
}

is_another() { is_active && [[ $(property MainPID) -ne $1 ]]; }

killed_is_restarted() {
    ctl version
    local before
    before=$(property MainPID)
    inside kill -KILL "$before"
    until_true 'the restart' is_another "$before"
    ctl status xdp:edge0 | tee /dev/stderr | grep -q 'xdp:edge0: live'
    filters
}

hung_is_restarted() {
    ctl version
    local before
    before=$(property MainPID)
    inside kill -STOP "$before"
    until_true 'the watchdog' is_another "$before"
    inside journalctl --quiet --unit sluiced.service --grep 'Watchdog timeout' --lines 1
    live xdp:edge0
    filters
}

restart_changes_nothing() {
    local pins link
    pins=$(pinned) link=$(link_id)
    inside systemctl restart sluiced.service
    [[ $(pinned) == "$pins" && $(link_id) -eq $link ]]
    live xdp:edge0
    filters
}

stop_changes_nothing() {
    local pins link
    pins=$(pinned) link=$(link_id)
    inside systemctl stop sluiced.socket sluiced.service
    inside pgrep sluiced && return 1
    filters
    [[ $(pinned) == "$pins" && $(link_id) -eq $link ]]
    inside systemctl start sluiced.socket
    live xdp:edge0
}

# -- every verb, under the unit's hardening

apply_native() {
    chain xdp:edge0 1.0 | ctl plan -f - && return 1
    chain xdp:edge0 1.0 | ctl apply -f - --message 'a test'
    live xdp:edge0
    [[ $(ctl status xdp:edge0 --output json | jq -r .mode) == native ]]
}

upgrade_and_rollback() {
    local first
    first=$(generation)
    ctl upgrade xdp:edge0 dos --to 1.1
    [[ $(generation) -gt $first ]]
    ctl rollback xdp:edge0
    [[ $(generation) -eq $first ]]
    filters
}

see() {
    ctl status
    ctl stats xdp:edge0
    ctl history xdp:edge0 | grep -q 'a test'
    ctl events | grep -q 'xdp:edge0'
    ctl plugins | grep -q volumetric-dos
    ctl version
}

healthy() { ctl doctor; }

collects_garbage() {
    ctl gc
    filters
}

every_verb() {
    local verbs
    verbs=$(inside sluicectl --experimental-dump-help | jq -r '
        .command.subcommands[] | select(.commandName != "help") | .commandName as $noun
        | if .subcommands then .subcommands[] | "\($noun) \(.commandName)" else $noun end')
    ! grep -vxFf "$work/tried" <<< "$verbs"
}

# -- every kind of hook

apply_generic() {
    inside ip link add spare0 type veth peer name spare1
    chain xdp:spare0 1.0 'mode: generic' | ctl apply -f -
    [[ $(ctl status xdp:spare0 --output json | jq -r .mode) == generic ]]
    ctl detach xdp:spare0
    inside ip link delete spare0
}

netns_is_refused() {
    inside ip netns add edge
    inside ip -n edge link add inner0 type veth peer name inner1
    chain xdp:inner0@edge 1.0 | ctl apply -f - 2> "$work/refusal" && return 1
    cat "$work/refusal"
    grep -q CAP_SYS_ADMIN "$work/refusal"
}

netns_with_drop_in() {
    local drop_in=/etc/systemd/system/sluiced.service.d/netns.conf
    inside install -D -m 0644 /usr/share/doc/sluice/netns.conf.example "$drop_in"
    inside systemctl daemon-reload
    inside systemctl restart sluiced.service
    chain xdp:inner0@edge 1.0 | ctl apply -f -
    live xdp:inner0@edge
    ctl detach xdp:inner0@edge
    inside ip netns delete edge
    inside rm "$drop_in"
    inside systemctl daemon-reload
    inside systemctl restart sluiced.service
}

is_turned() { ctl events | grep -q map-update; }
has_stopped() { ! inside pgrep -x knob; }

plugin_that_runs() {
    inside ip link add spare0 type veth peer name spare1
    printf 'chains:\n  - hook: xdp:spare0\n    stages:\n      - {name: knob, plugin: knob}\n' | ctl apply -f -
    until_true 'the map update' is_turned
    [[ $(inside ps -o user= -C knob) == sluice-plugin ]]
    # It has work to do: the daemon stays, though nobody asks it anything.
    sleep 4
    is_active
    ctl detach xdp:spare0
    until_true 'the end of the run' has_stopped
    inside ip link delete spare0
}

strangers_are_refused() {
    inside setpriv --reuid 65534 --regid 65534 --clear-groups sluicectl status 2> "$work/refusal" && return 1
    cat "$work/refusal"
    grep -q 'may not use sluiced' "$work/refusal"
    inside setpriv --reuid 65534 --regid sluice-view --clear-groups sluicectl status
}

# But for the namespace that it was to refuse, and for the niceness that a container without CAP_SYS_RESOURCE cannot give.
no_complaints() {
    inside journalctl --quiet --boot --unit sluiced.service --output cat > "$work/journal"
    ! grep -iE 'not permitted|denied|read-only|errno' "$work/journal" \
        | grep -vE 'enter network namespace|Failed to set thread priority'
}

# -- a reboot

# When systemd says that a unit was ready, and when the first process of another one was started.
before_the_network() {
    local ready pre network
    ready=$(property ActiveEnterTimestampMonotonic)
    pre=$(property ActiveEnterTimestampMonotonic network-pre.target)
    network=$(property ExecMainStartTimestampMonotonic systemd-networkd.service)
    echo "sluiced ready at $ready us, network-pre.target reached at $pre us, systemd-networkd started at $network us"
    ((ready > 0 && ready <= pre && pre <= network))
}

comes_back() {
    inside test ! -e /usr/lib/sluice/plugins/volumetric-dos
    ctl status xdp:edge0
    live xdp:edge0
    [[ $(generation) -eq $1 ]]
    filters
}

says_the_gap() {
    ctl status xdp:edge0 --output json | jq -e '.gap.since == "boot" and .gap.milliseconds > 0'
    ctl status xdp:edge0 | tee /dev/stderr | grep -q 'nothing was filtered for'
    ctl events | tail -n 3
}
