# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Connections that last, through every change there is; handshakes through a flood. What breaks them is measured beside:
# `hash`, the router's own ECMP straight to the servers, by the hash modulo their number; and `ipip`, the same load balancer
# without further hops. Sourced by run.sh.
# shellcheck disable=SC2154

plain4=198.51.100.11
declare -A holders

endure_checks() {
    endure 'connections that last: 200 over IPv4, 200 over IPv6, to all four servers' begin_to_hold
    endure 'a server is drained' drained
    endure 'it is taken away' taken_away
    endure 'a server is added, filling' added
    endure 'weights change' weighed
    endure "a director's chain is replaced, upgraded and rolled back" replaced
    endure 'the router sends all flows to other directors' rehashed
    endure 'SYN flood 10:1, cookies on, while servers drain' flooded
    endure 'the same, and only the one that drains knows its cookies' flooded_apart
    endure 'a server dies, the whole machine: its own connections break and no other' machine_dies
    endure 'no daemon has complained' quiet_logs
}

# A check, with what it counted.
endure() {
    : > "$work/counts"
    check "$@"
    sed 's/^/          /' "$work/counts"
}

count() { echo "$*" | tee -a "$work/counts"; }

traffic() { within "$1" "$build/testbed-traffic" "${@:2}"; }

# The chain of an edge with the echo server's services, and those servers that are named.
echo_spec() {
    local edge=$1 i gone=()
    shift
    for ((i = 1; i <= edges; i++)); do
        [[ " $* " == *" $i "* ]] || gone+=(-e "/name: e$i,/d" -e "s/\(servers: \[.*\)e$i\(, \)\?/\1/" -e 's/, \]/]/')
    done
    spec "$edge" 1600 | sed \
        -e '/^          pools:/a\            - { name: plain, servers: [e1, e2, e3, e4], encapsulation: ipip }' \
        -e "/^          services:/a\            - { name: echo4, vip: $vip4, protocol: tcp, port: 7007, pool: web }" \
        -e "/^          services:/a\            - { name: echo6, vip: \"$vip6\", protocol: tcp, port: 7007, pool: web }" \
        -e "/^          services:/a\            - { name: plain4, vip: $vip4, protocol: tcp, port: 7008, pool: plain }" |
        sed "${gone[@]}" -e ''
}

# On those edges that are named, with them as servers.
apply_echo() {
    local edge
    for edge in "$@"; do
        echo_spec "$edge" "$@" > "$work/e$edge/spec.yaml" && ctl "$edge" apply -f "$work/e$edge/spec.yaml" || return
    done
}

echo_server() {
    traffic "e$1" serve --name "e$1" --port 7007 --port 7008 > "$work/e$1/echo.out" 2>&1 &
    echo $! > "$work/e$1/echo.pid"
}

# As `spread`, and what goes without a load balancer with it: that by the hash modulo the number of servers, of which 1 to
# 4 divide 12.
spread_all() {
    local i hops=() servers=("$@")
    for ((i = 0; i < 12; i++)); do hops+=(nexthop via "10.2.${servers[i % $#]}.2"); done
    spread "$@" && within router ip route replace "$plain4/32" "${hops[@]}"
}

hold() {
    local name=$1 to=$2 pipe
    mkfifo "$work/$name.in" || return
    traffic client hold --to "$to" "${@:3}" < "$work/$name.in" > "$work/$name.out" 2> "$work/$name.err" &
    exec {pipe}> "$work/$name.in" && holders[$name]=$pipe
}

# What a holder saw in a phase.
seen() { jq -e "select(.phase == \"$2\")" "$work/$1.out"; }

# tell LINE HOLDER...
tell() {
    local line=$1 name
    shift
    for name in "$@"; do echo "$line" >&"${holders[$name]}" || return; done
}

# mark PHASE HOLDER...: each connection is used once more; then the counts.
mark() {
    local phase=$1 name
    shift
    tell "mark $phase" "$@"
    for name in "$@"; do
        until_true "what $name saw" seen "$name" "$phase" || return
        count "$name: $(seen "$name" "$phase" | jq -r '"\(.connections) connections (" + (.servers | to_entries |
            map("\(.value) on \(.key)") | join(", ")) + "), \(.bytes) bytes checked, \(.broken) broken" +
            (if .broken > 0 then " (" + ([(.brokenOn, .causes) | to_entries[] | "\(.value) \(.key)"] | join(", ")) + ")" else "" end) +
            ", \(.corrupted) corrupted"')"
    done
}

# unbroken PHASE: of the 200 of each family.
unbroken() {
    local name
    for name in v4 v6; do
        seen "$name" "$1" | jq -e '.connections == 200 and .bytes > 1000000 and .broken == 0 and .corrupted == 0' || return
    done
}

# broken NAME PHASE SERVER: some that were not that server's, too. Else what is said of the others is worth nothing.
broken() { seen "$1" "$2" | jq -e --arg its "$3" '.broken > (.brokenOn[$its] // 0)'; }

begin_to_hold() {
    local edge name
    for ((edge = 1; edge <= edges; edge++)); do
        within "e$edge" ip address add "$plain4/32" dev lo && within "e$edge" sysctl -qw net.core.somaxconn=65535 &&
            echo_server "$edge" || return
    done
    apply_echo 1 2 3 4 && spread_all 1 2 3 4 && all_up || return
    hold v4 "$vip4:7007" && hold v6 "[$vip6]:7007" && hold hash "$plain4:7007" --interval 250 &&
        hold ipip "$vip4:7008" --interval 250 || return
    for name in v4 v6 hash ipip; do
        until_true "$name to begin" seen "$name" start && seen "$name" start | jq -e '.servers | length == 4' || return
    done
    sleep 2
    mark quiet v4 v6 hash ipip && unbroken quiet
}

drained() {
    lb drain e2 && sleep 2 && mark drained v4 v6 hash ipip && unbroken drained &&
        count "onward: $(verdict onward), kept as established: $(verdict kept-established)" &&
        seen ipip drained | jq -e '.broken > 0 and .brokenOn == {"e2": .broken}'
}

# Its connections are ended as one should, and new ones are not its own; then it goes. Without a load balancer it is the
# router that takes it away.
taken_away() {
    tell 'renew e2' v4 v6 ipip && sleep 1 && spread_all 1 3 4 && apply_echo 1 3 4 || return
    kill -9 "$(cat "$work/e2/echo.pid")" && sleep 2 && mark taken v4 v6 hash ipip && unbroken taken && broken hash taken e2
}

added() {
    echo_server 2
    apply_echo 1 2 3 4 && lb fill e2 && spread_all 1 2 3 4 && sleep 1 && tell 'renew e1' v4 v6 && sleep 2 && lb up e2 &&
        mark added v4 v6 hash ipip && unbroken added && broken hash added e2 || return
    # What has come since is on it.
    mark after v4 v6 && unbroken after && seen v4 after | jq -e '.servers["e2"] > 0' && seen v6 after | jq -e '.servers["e2"] > 0'
}

weighed() {
    lb weight e1 20 && lb weight e3 60 && tell 'renew e4' v4 v6 && sleep 1 && lb weight e1 0 && lb weight e3 100 &&
        lb weight e2 10 && lb weight e1 100 && lb weight e2 100 && sleep 0.5 &&
        mark weighed v4 v6 ipip && unbroken weighed && broken ipip weighed none
}

# All of it on edge 3 alone: another program of l4lb, the versions before of both stages, and upgrades of both, back twice
# each. What has been said of servers outlives that; at last it takes samples.
replaced() {
    local spec=$work/e3/spec.yaml
    install_plugin volumetric-dos-1_0 volumetric-dos/1.0 && install_plugin l4lb-1_0 l4lb/1.0 && lb drain e4 || return
    ctl 3 apply -f <(sed -E 's/mtu: 1600/mtu: 1590/; s/plugin: (volumetric-dos|l4lb)/&\n        version: "1.0"/' "$spec") && sleep 0.5 &&
        ctl 3 upgrade xdp:eth0 dos && sleep 0.5 && ctl 3 rollback xdp:eth0 && sleep 0.5 || return
    runs_lb 1.0 && ctl 3 upgrade xdp:eth0 lb --to 1.1 && sleep 0.5 && runs_lb 1.1 &&
        ctl 3 rollback xdp:eth0 && sleep 0.5 && runs_lb 1.0 && ctl 3 upgrade xdp:eth0 lb --to 1.1 && sleep 0.5 && runs_lb 1.1 &&
        mark upgraded v4 v6 && unbroken upgraded || return
    ctl 3 apply -f "$spec" && sleep 0.5 && ctl 3 rollback xdp:eth0 &&
        ctl 3 apply -f <(sed 's/local: e3/&\n          sample: { packets-per-second: 1000 }/' "$spec") &&
        until_true 'samples of the connections' has_samples && count "samples: $(flows_seen)" && ctl 3 apply -f "$spec" || return
    lb up e4 && mark replaced v4 v6 && unbroken replaced
}

# Whether edge 3 runs this version of l4lb, and still knows that e4 drains.
runs_lb() {
    ctl 3 status xdp:eth0 -o json | jq -e --arg version "$1" '.stages[] | select(.name == "lb") | .version == $version' &&
        ctl 3 lb servers xdp:eth0 lb -o json | jq -e '.[] | select(.server == "e4") | .state == "draining"'
}

flows_seen() {
    ctl 3 stats xdp:eth0 --stage lb --top verdicts -o json |
        jq -r 'map("\(.["packets-per-second"]) packets/s \(.verdict)") | join(", ")'
}

# As a director, and as the server that packets come to.
has_samples() {
    ctl 3 stats xdp:eth0 --stage lb --top flows -o json | jq -e 'map(select(.service == "echo4" or .service == "echo6")) | length >= 10' &&
        ctl 3 stats xdp:eth0 --stage lb --top verdicts -o json |
        jq -e 'map(.verdict) | contains(["forwarded", "kept-established"])'
}

# Packets of the services that an edge's director took.
directed() {
    local edge
    for ((edge = 1; edge <= edges; edge++)); do
        ctl "$edge" stats xdp:eth0 -o json |
            jq '[.stages[] | select(.name == "lb") | .tables[] | select(.name == "services") | .rows[] |
                select(.label | startswith("echo")) | .values[0]] | add'
    done | paste -sd ' '
}

rehashed() {
    local hops policy=net.ipv4.fib_multipath_hash_policy policy6=net.ipv6.fib_multipath_hash_policy
    count "packets that the directors took: $(directed)"
    for hops in '4 3 2 1' '1 3' '2' '2 4 1'; do
        # shellcheck disable=SC2086
        spread_all $hops && sleep 1 && count "spread over $hops: $(directed)" || return
    done
    spread_all 1 2 3 4 && within router sysctl -qw "$policy=0" "$policy6=0" && sleep 1 &&
        count "by addresses only: $(directed)" && within router sysctl -qw "$policy=1" "$policy6=1" || return
    # Linux 6.11.
    within router sysctl -qw net.ipv4.fib_multipath_hash_seed=4711 && count 'with another seed too'
    sleep 1
    mark rehashed v4 v6 hash && unbroken rehashed && broken hash rehashed none
    tell end hash ipip
}

# A client far away, so that at any time there are handshakes under way.
far_client() {
    local side
    namespace far && namespace wire || return
    ip link add eth0 netns far type veth peer name near netns wire &&
        ip link add far0 netns router type veth peer name distant netns wire || return
    for side in near distant; do
        within wire sysctl -qw "net.ipv6.conf.$side.disable_ipv6=1" && within wire ip link set "$side" up || return
    done
    within far ethtool -K eth0 tx off > /dev/null && within router ethtool -K far0 tx off > /dev/null
    within far ip address add 10.3.0.2/24 dev eth0 && within far ip address add fd03::2/64 dev eth0 nodad &&
        within router ip address add 10.3.0.1/24 dev far0 && within router ip address add fd03::1/64 dev far0 nodad &&
        within far ip link set eth0 up && within router ip link set far0 up &&
        within far ip route add default via 10.3.0.1 && within far ip -6 route add default via fd03::1 || return
    # Where answers to strangers end.
    within router ip route add blackhole 10.66.0.0/16 && within router ip -6 route add blackhole fd66::/64 || return
    traffic wire wire near distant --delay 30 > "$work/wire.out" 2>&1 &
    until_true 'the wire' within far ping -c 1 -W 1 10.3.0.1 && until_true 'the wire' within far ping -c 1 -W 1 fd03::1
}

# cookies VALUE EDGE...
cookies() {
    local edge
    for edge in "${@:2}"; do
        within "e$edge" sysctl -qw "net.ipv4.tcp_syncookies=$1" net.ipv4.tcp_max_syn_backlog=131072 || return
    done
}

# SYN cookies that servers sent, and that came back; on all edges.
cookie_counts() {
    local edge
    for ((edge = 1; edge <= edges; edge++)); do within "e$edge" nstat -asz TcpExtSyncookiesSent TcpExtSyncookiesRecv; done |
        awk '/Sent/ { sent += $2 } /Recv/ { back += $2 } END { print sent " sent, " back " came back" }'
}

# under_flood PHASE COMMAND...: 100 new connections a second of each family and ten times as many SYNs of strangers, while
# the command runs; beside it as many by `ipip`, of which some must break.
under_flood() {
    local phase=$1 pid pids=() name status=0 seconds=10
    shift
    traffic client flood --to "$vip4:7007" --from 10.66.0.0 --rate 1000 --seconds "$((seconds + 1))" > "$work/flood4" 2>&1 & pids+=($!)
    traffic client flood --to "[$vip6]:7007" --from fd66:: --rate 1000 --seconds "$((seconds + 1))" > "$work/flood6" 2>&1 & pids+=($!)
    traffic far knock --to "$vip4:7007" --rate 100 --seconds "$seconds" --phase "$phase" > "$work/knock4.out" 2>&1 & pids+=($!)
    traffic far knock --to "[$vip6]:7007" --rate 100 --seconds "$seconds" --phase "$phase" > "$work/knock6.out" 2>&1 & pids+=($!)
    traffic far knock --to "$vip4:7008" --rate 100 --seconds "$seconds" --phase "$phase" > "$work/knock-ipip.out" 2>&1 & pids+=($!)
    "$@" || status=1
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    count "flood: $(cat "$work/flood4" "$work/flood6" | jq -s 'map(.sent) | add') SYNs"
    for name in knock4 knock6 knock-ipip; do
        count "$name: $(seen "$name" "$phase" | jq -r '"\(.connections) connections (" + (.servers | to_entries |
            map("\(.value) on \(.key)") | join(", ")) + "), \(.bytes) bytes checked, \(.broken) broken \(.causes | tostring), " +
            "\(.corrupted) corrupted; the slowest handshake took \(.slowest) ms, \(.resent) took over 900"')"
    done
    for name in knock4 knock6; do
        seen "$name" "$phase" | jq -e '.connections == 1000 and .broken == 0 and .corrupted == 0' || status=1
    done
    seen knock-ipip "$phase" | jq -e '.broken > 0' || status=1
    if [[ -s $work/wire.out ]]; then count "the wire: $(sort "$work/wire.out" | uniq -c)" && status=1; fi
    [[ $status -eq 0 ]] || where_lost
    return "$status"
}

# Where packets may have gone, when handshakes did not get through.
where_lost() {
    local name
    for name in far router e1 e2 e3 e4; do
        count "$name: $(within "$name" nstat -asz |
            awk '$2 > 0 && /Listen|ReqQ|SynRetrans|RetransSegs|Backlog|OutRsts/ { print $1, $2 }' | paste -sd ' ')"
    done
    for name in e1 e2 e3 e4; do
        count "$name, its end and the router's: $({ within "$name" ethtool -S eth0 && within router ethtool -S "r${name#e}"; } |
            awk '$2 > 0 && /drop|err/ { print $1, $2 }' | paste -sd ' ')"
    done
    # Packets, and how many there was no room for; by processor, in hexadecimal.
    count "processors: $(cut -d ' ' -f 1,2 /proc/net/softnet_stat | paste -sd ,)"
}

flooded() {
    far_client && cookies 2 1 2 3 4 || return
    local status
    count "cookies before: $(cookie_counts); kept by cookie: $(verdict kept-cookie), onward: $(verdict onward)"
    under_flood flooded drain_in_turn e2 e3 e2
    status=$?
    count "cookies after: $(cookie_counts); kept by cookie: $(verdict kept-cookie), onward: $(verdict onward)"
    mark flooded v4 v6 && unbroken flooded && return "$status"
}

# drain_in_turn SERVER...
drain_in_turn() {
    local name
    for name in "$@"; do sleep 0.5 && lb drain "$name" && sleep 0.5 && lb up "$name" || return; done
}

# All namespaces have one kernel's secret, so that each edge takes any other's cookies for its own. Without cookies on
# those that take over from it, only the one that drains can vouch for its own: each has to come to it by a second hop.
flooded_apart() {
    local status
    cookies 0 1 3 4 || return
    count "cookies before: $(cookie_counts); kept by cookie: $(verdict kept-cookie), onward: $(verdict onward)"
    under_flood apart drain_in_turn e2 e2 e2
    status=$?
    count "cookies after: $(cookie_counts); kept by cookie: $(verdict kept-cookie), onward: $(verdict onward)"
    mark apart v4 v6 && unbroken apart && cookies 1 1 2 3 4 && return "$status"
}

# The router withdraws its route a second later, as BFD or BGP would; the checks find it down.
machine_dies() {
    local edge name own
    within router ip link set r4 down && sleep 1 && spread_all 1 2 3 || return
    for edge in 1 2 3; do until_true 'the check' is_down "$edge" e4 || return; done
    sleep 1
    mark dead v4 v6 || return
    for name in v4 v6; do
        seen "$name" dead | jq -e '.brokenOn == {"e4": .servers["e4"]} and .corrupted == 0' || return
    done
    own=$(jq -s 'map(select(.phase == "dead").broken) | add' "$work/v4.out" "$work/v6.out")
    count "$own of 400 connections were its own"
    tell end v4 v6
}
