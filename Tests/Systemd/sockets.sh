# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
# Groups of sockets, with systemd's own ways to hand sockets over, a function a check. Sourced after hardening.sh.

unit() { inside tee "/run/systemd/system/$1" > /dev/null; }

# A service that is given its socket, and brings it into the group; one that brings in a socket unit's; and one that is
# left to a rule.
socket_units() {
    printf '[Socket]\nListenDatagram=127.0.0.1:5300\n' | unit named.socket
    unit named.service << 'UNIT'
[Service]
Type=exec
User=nobody
ExecStart=/usr/bin/sleep infinity
ExecStartPost=+/usr/bin/sluicectl socket add dns --pid $MAINPID --local 127.0.0.1:5300/udp
UNIT
    unit named-join.service << 'UNIT'
[Service]
Type=oneshot
Sockets=named.socket
ExecStart=/usr/bin/sluicectl socket add dns --listen-fds
UNIT
    printf '[Socket]\nListenDatagram=127.0.0.1:5301\n' | unit ruled.socket
    printf '[Service]\nType=exec\nUser=nobody\nExecStart=/usr/bin/sleep infinity\n' | unit ruled.service
    inside systemctl daemon-reload
}

group() { printf 'chains:\n  - hook: socket-filter:dns\n%s    stages: [{name: see, plugin: noop}]\n' "${1:+    $1$'\n'}"; }
members() { ctl socket list dns --output json | jq "[.[].sockets[] | select(.byRule == $1)] | length"; }
is_member() { [[ $(members "$1") -eq 1 ]]; }

brings_sockets() {
    socket_units
    group | ctl apply -f -
    inside systemctl start named.socket named.service
    is_member false
    ctl socket remove dns --all
    [[ $(members false) -eq 0 ]]
    inside systemctl start named-join.service
    is_member false
    # Whoever is in the group of the join socket gets as far as systemd's mode says, and nobody else.
    refused inside setpriv --reuid 65534 --regid 65534 --clear-groups sluicectl socket add dns --pid 1 --local '*:1/udp'
    until_true 'the daemon to leave' is_idle
    inside systemctl start named-join.service
    # The unit may not take the socket from the service: the filter stays, and lets all through.
    ctl socket add dns --pid "$(inside systemctl show --value --property MainPID named.service)" \
        --local 127.0.0.1:5300/udp | grep 'in it already'
}

is_told() { ctl status socket-filter:dns | grep sockets.conf.example; }

rule_is_refused() {
    inside systemctl start ruled.socket ruled.service
    group 'match: [{local: "127.0.0.1:5301/udp", unit: ruled.service}]' | ctl apply -f -
    until_true 'the rule to be told to need a right' is_told
    [[ $(members true) -eq 0 ]]
}

rule_with_drop_in() {
    drop_in /usr/share/doc/sluice/sockets.conf.example
    until_true 'the rule to bring the socket in' is_member true
    inside systemctl stop ruled.socket ruled.service
    [[ $(members true) -eq 0 ]]
    inside systemctl start ruled.socket ruled.service
    until_true 'the rule to bring the next one in' is_member true
    ctl detach socket-filter:dns | tee "$work/detached"
    ! grep 'keep their filter' "$work/detached"
    inside systemctl stop named.socket named.service ruled.socket ruled.service
    drop_out
}
