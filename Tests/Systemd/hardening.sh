# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
# What the hardening of the unit must not forbid, a function a check. Sourced after checks.sh.

# -- every verb

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

# On two flows, one of which is dropped: no candidate could be told by that.
begin_canary() {
    ctl upgrade xdp:edge0 dos --to 1.1 --canary 50% --for 1h --min-packets 1000000000 --no-wait
    [[ $(generation) -eq $1 ]]
    filters
}

tries_canaries() {
    local stable
    stable=$(generation)
    begin_canary "$stable"
    ctl canary abort xdp:edge0
    [[ $(generation) -eq $stable ]]
    begin_canary "$stable"
    ctl canary promote xdp:edge0
    [[ $(generation) -gt $stable ]]
    filters
    ctl rollback xdp:edge0 --to "$stable"
}

see() {
    ctl status
    ctl status --all
    ctl stats xdp:edge0
    ctl history xdp:edge0 | grep 'a test'
    ctl history xdp:edge0 --diff
    ctl events | grep 'xdp:edge0'
    ctl plugins | grep volumetric-dos
    ctl version
}

healthy() { ctl doctor; }

# What a reboot would need has gone, and the pin of the root.
repairs() {
    inside find /var/lib/sluice/artifacts -mindepth 1 -delete
    inside rm /sys/fs/bpf/sluice/xdp:edge0/root
    ctl doctor && return 1
    ctl doctor --repair
    healthy
    filters
}

# What is there, by the answer of a probe.
supported() { jq '[.items[] | select(.name != "CAP_SYS_ADMIN") | {name, supported}]'; }

# Another daemon, which nothing confines, finds no more.
probes() {
    ctl probe
    inside systemd-run --quiet --unit unconfined \
        sluiced --socket /run/unconfined.sock --bpffs /sys/fs/bpf/unconfined --state /run/unconfined
    until_true 'the other daemon' inside test -S /run/unconfined.sock
    diff <(ctl probe --output json | supported) \
        <(inside env SLUICE_SOCKET=/run/unconfined.sock sluicectl probe --output json | supported)
    inside systemctl stop unconfined
    inside rm -r /run/unconfined /sys/fs/bpf/unconfined
}

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

# -- every kind of hook, stage and change

adopted() {
    printf '      - {name: filter, object: /usr/lib/bpf/xdpfilt_alw_all.o#xdpfilt_alw_all, proceed-on: [pass]}\n'
}
tally() { printf '      - {name: tally, plugin: fixture-stage, version: "%s", config: {program: tally}}\n' "$1"; }

adopts() {
    { chain xdp:edge0 1.0 && adopted; } | ctl apply -f -
    live xdp:edge0
    [[ $(ctl status xdp:edge0 --output json | jq '.stages | length') -eq 2 ]]
    filters
}

tallied() { ctl map dump xdp:edge0 tally tally --output json | jq '[.entries[].value.packets] | add // 0'; }
has_tallied() { [[ $(tallied) -gt 0 ]]; }

merges_state() {
    local before
    { chain xdp:edge0 1.0 && adopted && tally 1.0; } | ctl apply -f -
    until_true 'the first packets' has_tallied
    before=$(tallied)
    ctl upgrade xdp:edge0 tally --to 2.0 | grep merged
    [[ $(tallied) -ge $before ]]
    filters
}

changes_maps() {
    ctl map list xdp:edge0 filter
    ctl map update xdp:edge0 tally tally --force --key 1 --value '{"bytes": 2, "packets": 3}'
    ctl map dump xdp:edge0 tally tally --output json \
        | jq -e '.entries[] | select(.key == 1) | .value.bytes == 2 and .value.packets == 3'
    ctl map delete xdp:edge0 tally tally --force --key 1
}

changes_rules() {
    ctl rule add xdp:edge0 dos 'name: more, protocol: udp, destination-port: 9' --ttl 10m
    ctl rule list xdp:edge0 dos --output json | jq -e '.[] | select(.name == "more") | .from == "live"'
    ctl rule remove xdp:edge0 dos more
    ctl rule list xdp:edge0 dos --output json | jq -e 'all(.name != "more")'
    filters
}

spare() { inside ip link add spare0 type veth peer name spare1; }

apply_generic() {
    spare
    chain xdp:spare0 1.0 'mode: generic' | ctl apply -f -
    [[ $(ctl status xdp:spare0 --output json | jq -r .mode) == generic ]]
    ctl detach xdp:spare0
    inside ip link delete spare0
}

# Whether a server of the load balancer is in a state.
server_is() { ctl lb servers xdp:spare0 lb --output json | jq -e ".[] | select(.server == \"$1\") | .state == \"$2\""; }

changes_servers() {
    spare
    ctl apply -f - << 'SPEC'
chains:
  - hook: xdp:spare0
    stages:
      - name: lb
        plugin: l4lb
        version: "1.0"
        config:
          director: {source-v4: 192.0.2.1}
          servers: [{name: e1, address: 192.0.2.11}, {name: e2, address: 192.0.2.12}]
          pools: [{name: web, servers: [e1, e2]}]
          services: [{name: http, vip: 198.51.100.10, protocol: tcp, port: 80, pool: web}]
SPEC
    ctl lb services xdp:spare0 lb | grep http
    ctl lb drain xdp:spare0 lb e1
    server_is e1 draining
    ctl upgrade xdp:spare0 lb --to 1.1
    server_is e1 draining
    ctl rollback xdp:spare0
    server_is e1 draining
    ctl lb explain xdp:spare0 lb tcp 203.0.113.7:40000 198.51.100.10:80 | grep e2
    ctl lb fill xdp:spare0 lb e1
    server_is e1 filling
    ctl lb weight xdp:spare0 lb e1 50
    ctl lb down xdp:spare0 lb e2
    server_is e2 down
    ctl lb up xdp:spare0 lb e1 e2
    server_is e2 active
    ctl detach xdp:spare0
    inside ip link delete spare0
}

waits() { [[ $(state xdp:spare0) == waiting ]]; }

waits_for_its_interface() {
    spare
    chain xdp:spare0 1.0 | ctl apply -f -
    inside ip link delete spare0
    until_true 'the chain to wait' waits
    spare
    until_true 'the chain to be attached' live xdp:spare0
    ctl status xdp:spare0 | grep 'nothing was filtered for'
    ctl detach xdp:spare0
    inside ip link delete spare0
}

# refused COMMAND...: it fails, and what it says is in the file "refusal".
refused() {
    "$@" 2> "$work/refusal" && return 1
    cat "$work/refusal"
}

# What runs on an interface that nothing of ours runs on, by its id.
foreign() { inside ip -json link show dev spare0 | jq ".[0].xdp.prog.id"; }

foreign_object=/usr/lib/bpf/xdpfilt_alw_all.o

foreign_is_refused() {
    spare
    inside ip link set dev spare0 xdpdrv object "$foreign_object" section xdp
    foreign > "$work/foreign"
    chain xdp:spare0 1.0 | refused ctl apply -f -
    grep -e "#$(< "$work/foreign")" -e --replace "$work/refusal"
    chain xdp:spare0 1.0 | refused ctl apply --replace -f -
    grep CAP_SYS_ADMIN "$work/refusal"
    refused ctl adopt xdp:spare0 taken --object "$foreign_object"
    grep CAP_SYS_ADMIN "$work/refusal"
    [[ $(foreign) -eq $(< "$work/foreign") ]]
}

netns_is_refused() {
    inside ip netns add edge
    inside ip -n edge link add inner0 type veth peer name inner1
    chain xdp:inner0@edge 1.0 | refused ctl apply -f -
    grep CAP_SYS_ADMIN "$work/refusal"
}

netns=/usr/share/doc/sluice/netns.conf.example

netns_with_drop_in() {
    drop_in "$netns"
    chain xdp:inner0@edge 1.0 | ctl apply -f -
    live xdp:inner0@edge
    ctl detach xdp:inner0@edge
    inside ip netns delete edge
    drop_out
}

foreign_with_drop_in() {
    drop_in "$netns"
    chain xdp:spare0 1.0 | ctl apply --replace -f -
    live xdp:spare0
    [[ $(foreign) -ne $(< "$work/foreign") ]]
    ctl detach --restore xdp:spare0
    [[ $(foreign) -eq $(< "$work/foreign") ]]
    ctl adopt xdp:spare0 taken --object "$foreign_object"
    live xdp:spare0
    ctl detach --restore xdp:spare0
    [[ $(foreign) -eq $(< "$work/foreign") ]]
    inside ip link delete spare0
    drop_out
}

is_turned() { ctl events | grep -c map-update; }
has_stopped() { ! inside pgrep -x knob; }

plugin_that_runs() {
    spare
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
    refused inside setpriv --reuid 65534 --regid 65534 --clear-groups sluicectl status
    grep 'may not use sluiced' "$work/refusal"
    inside setpriv --reuid 65534 --regid sluice-view --clear-groups sluicectl status
}

# But for the namespace that it was to refuse, and for the niceness that a container without CAP_SYS_RESOURCE cannot give.
no_complaints() {
    inside journalctl --quiet --boot --unit sluiced.service --output cat > "$work/journal"
    ! grep -iE 'not permitted|denied|read-only|errno' "$work/journal" \
        | grep -vE 'enter network namespace|Failed to set thread priority|denied (connect to|a packet) '
}
