# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
# What must hold under systemd, a function a check; each ends with 0 when it does. Sourced after container.sh.

# What the kernel runs at the hook: the root's link and program and the live generation's programs.
pinned() { inside find /sys/fs/bpf/sluice -type f | sort; }
link_id() { inside bpftool --json link show pinned /sys/fs/bpf/sluice/xdp:edge0/link | jq .id; }

# -- the life of the daemon

# With a drop-in for the unit, or without it again, the daemon is started anew. drop_in FILE
drop_in() {
    inside install -D -m 0644 "$1" /etc/systemd/system/sluiced.service.d/check.conf
    restart_anew
}
drop_out() {
    inside rm /etc/systemd/system/sluiced.service.d/check.conf
    restart_anew
}
restart_anew() { inside systemctl daemon-reload && inside systemctl restart sluiced.service; }

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
    ctl status xdp:edge0 | grep 'xdp:edge0: live'
    filters
}

hung_is_restarted() {
    # Half a minute is long to wait for.
    printf '[Service]\nWatchdogSec=3\n' > "$root/watchdog.conf"
    drop_in /watchdog.conf
    local before
    before=$(property MainPID)
    inside kill -STOP "$before"
    until_true 'the watchdog' is_another "$before"
    inside journalctl --quiet --unit sluiced.service --grep 'Watchdog timeout' --lines 1
    live xdp:edge0
    filters
    drop_out
}

has_root_pin() { inside test -e /sys/fs/bpf/sluice/xdp:edge0/root; }

timer_starts_it() {
    local folder=$root/etc/systemd/system/sluiced.timer.d
    # Ten minutes are long to wait for.
    mkdir "$folder"
    printf '[Timer]\nOnUnitInactiveSec=\nOnUnitInactiveSec=1\nAccuracySec=100ms\n' > "$folder/check.conf"
    inside systemctl daemon-reload
    inside systemctl restart sluiced.timer
    until_true 'the idle exit' is_idle
    inside rm /sys/fs/bpf/sluice/xdp:edge0/root
    until_true 'the look' has_root_pin
    filters
    rm -r "$folder"
    inside systemctl daemon-reload
    inside systemctl restart sluiced.timer
}

# There is no udev in a container, but what it would do can be asked.
wanted_for() { inside udevadm test --action=add "/sys/class/net/$1" 2> /dev/null | grep SYSTEMD_WANTS; }

rule_wants_it() {
    wanted_for edge0 | grep sluiced.service
    wanted_for lo && return 1
    true
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
    inside test ! -e /usr/lib/sluice/plugins/volumetric-dos -a ! -e /usr/lib/bpf
    ctl status xdp:edge0
    live xdp:edge0
    [[ $(generation) -eq $1 ]]
    filters
}

says_the_gap() {
    ctl status xdp:edge0 --output json | jq -e '.gap.since == "boot" and .gap.milliseconds > 0'
    ctl status xdp:edge0 | grep 'nothing was filtered for'
    ctl events | tail -n 3
}
