#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# UDP limits before a real DNS server: unbound serves 30,000 addresses of each family by one socket each, a client asks all of
# them, and one address is flooded at twenty times its limit; with udp-ratelimit at the service's cgroup, then as the filter
# of its sockets. A line a check, with figures; ends with 1 if one fails. Root only; touches nothing of the machine's own but a
# cgroup that it makes and removes. Usage: Tests/Testbed/udp.sh [cgroup|sockets]
# What `check` calls seems never to be called.
# shellcheck disable=SC2317
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

if [[ $(id -u) -ne 0 ]]; then
    echo 'testbed-udp: needs root, for network namespaces and BPF' >&2
    exit 1
fi

if [[ ! ${SLUICE_TESTBED:-} ]]; then
    work=$(mktemp -d /tmp/sluice-testbed-XXXXXX)
    # Plugins run as somebody else, and read their folder there.
    chmod 755 "$work"
    mount=$(findmnt -rn -t cgroup2 -o TARGET | head -n 1)
    folder=$mount/sluice-testbed-$$.slice
    # What is in the cgroup ended with the namespaces.
    trap 'for _ in {1..50}; do rmdir -- "$folder" 2> /dev/null && break; sleep 0.1; done; rm -rf -- "$work"' EXIT
    mkdir "$folder" || exit
    SLUICE_TESTBED=$work SLUICE_CGROUP=$folder unshare --mount --net --pid --fork --kill-child --mount-proc Tests/Testbed/udp.sh "$@"
    exit
fi

work=$SLUICE_TESTBED
build=$PWD/.build/debug
traffic=$build/testbed-traffic
slice=/${SLUICE_CGROUP##*/}
failed=0
# Per address: packets a second, and how many times that the flood is.
rate=500 times=20
addresses=30000

# shellcheck source=Tests/Testbed/topology.sh
. Tests/Testbed/topology.sh

# check WHAT COMMAND...: runs it, says whether it did, and what it said of figures.
check() {
    local what=$1 started=$SECONDS
    shift
    if "$@" > "$work/said" 2>&1; then
        echo "ok      $what ($((SECONDS - started)) s)"
        sed -n 's/^figures: /          /p' "$work/said"
    else
        echo "FAILED  $what"
        sed 's/^/          /' "$work/said" | tail -n 30
        failed=1
    fi
}

sluicectl() { SLUICE_SOCKET=$work/sock "$build/sluicectl" "$@"; }

# send --to ENDPOINT ...: testbed-traffic datagrams at the client.
send() { within client "$traffic" datagrams "$@"; }

# The endpoint of address number $2 of family $1.
endpoint() {
    if [[ $1 == 4 ]]; then echo "10.50.$(($2 / 256)).$(($2 % 256)):53"; else printf '[fd50::%x]:53\n' "$2"; fi
}

strangers() { if [[ $1 == 4 ]]; then echo 203.0.0.0; else echo fd00:7::; fi; }

start_server() {
    # A socket is of the cgroup that its process is in when it is made.
    within edge bash -c "echo \$\$ > '$SLUICE_CGROUP/cgroup.procs' && exec unbound -c '$work/unbound.conf'" > "$work/unbound.out" 2>&1 &
    server=$!
    until_true 'unbound' answers
}

answers() { [[ $(within client dig +short +tries=1 +time=1 @10.50.127.1 who.test TXT) == '"edge"' ]]; }

build_udp_topology() {
    mount -t tmpfs tmpfs /run/netns 2> /dev/null || { mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns; } || return
    mkdir "$work/bpf" && mount -t bpf -o mode=0700 bpf "$work/bpf" || return
    install_plugin udp-ratelimit-1_0 udp-ratelimit/1.0 || return
    namespace edge && namespace client || return
    ip link add eth0 netns edge type veth peer name eth0 netns client || return
    within edge ip address add 10.9.0.1/24 dev eth0 && within edge ip address add fd00:9::1/64 dev eth0 nodad &&
        within client ip address add 10.9.0.2/24 dev eth0 && within client ip address add fd00:9::2/64 dev eth0 nodad &&
        within edge ip link set eth0 up && within client ip link set eth0 up || return
    # The edge has them all; whoever else there is, is behind the client, which has no way for what comes back to strangers.
    within edge ip route add local 10.50.0.0/17 dev lo && within edge ip route add local fd50::/113 dev lo &&
        within edge sysctl -qw net.ipv6.ip_nonlocal_bind=1 && within edge ip route add default via 10.9.0.2 && within edge ip route add default via fd00:9::2 &&
        within client ip route add 10.50.0.0/17 via 10.9.0.1 && within client ip route add fd50::/113 via fd00:9::1 &&
        within client ip route add blackhole 203.0.0.0/16 && within client ip route add blackhole fd00:7::/32 || return
    # One thread, and one socket of each family, which answers from the address that was asked.
    cat > "$work/unbound.conf" << END
server:
    directory: "$work"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    num-threads: 1
    so-reuseport: no
    so-rcvbuf: 8m
    so-sndbuf: 8m
    interface: 0.0.0.0
    interface: ::
    interface-automatic: yes
    access-control: 0.0.0.0/0 allow
    access-control: ::/0 allow
    local-zone: "test." static
    local-data: 'who.test. 60 IN TXT "edge"'
END
    echo 'who.test TXT' > "$work/queries"
    start_server || return
    within edge "$build/sluiced" --socket "$work/sock" --bpffs "$work/bpf/edge" --state "$work/state" \
        --plugins "$work/plugins" --idle-exit 0 > "$work/sluiced.log" 2>&1 &
    until_true 'sluiced' sluicectl version
}

# apply HOOK EXTRA: the chain, with more about its hook.
apply_udp() {
    hook=$1
    sluicectl apply -f - << END
chains:
  - hook: $hook
$2
    stages:
      - name: limit
        plugin: udp-ratelimit
        config:
          ports: [53]
          policies:
            - name: dns
              destinations: [10.50.0.0/17, "fd50::/113"]
              per-address: { packets-per-second: $rate, burst: 100 }
END
}

# What the stage has counted: admitted, and over a limit.
admitted() { sluicectl rule list "$hook" limit -o json | jq '.[0].admitted'; }
dropped() { sluicectl rule list "$hook" limit -o json | jq '.[0]["over-address"]'; }
# What the kernel has of its sockets, and of UDP as a whole.
socket_drops() { within edge ss -ulnmH 'sport = 53' | grep -o ',d[0-9]*)' | tr -dc '0-9\n' | awk '{ n += $1 } END { print n + 0 }'; }
input_errors() {
    within edge bash -c 'nstat -asz UdpInErrors Udp6InErrors' | awk '/InErrors/ { n += $2 } END { print n }'
}
# Their cookies: other numbers for other sockets.
cookies() { within edge ss -ulneH 'sport = 53' | grep -o 'sk:[0-9a-f]*' | sort | tr '\n' ' '; }

all_answer() {
    local report
    report=$(send --to "$(endpoint "$1" 0)" --addresses "$addresses" --rate 6000 --rounds 1 --query who.test) && echo "$report"
    [[ $(jq .least <<< "$report") -eq 1 && $(jq .answers <<< "$report") -eq $addresses ]]
}

# A flood at one address, queries to all others, and a client with dnsperf at another.
flood() {
    local family=$1 before after flooded others perf drops kernel udp
    before=$(admitted) drops=$(dropped) kernel=$(socket_drops) udp=$(input_errors)
    send --to "$(endpoint "$family" 0)" --rate $((rate * times)) --seconds 13 --from "$(strangers "$family")" \
        --query who.test > "$work/flooded" &
    local flooder=$!
    within client dnsperf -s "$(endpoint "$family" 257 | sed 's/:53$//; s/[][]//g')" -d "$work/queries" -Q $((rate * 8 / 10)) \
        -l 12 -t 2 > "$work/dnsperf" 2>&1 &
    local performer=$!
    others=$(send --to "$(endpoint "$family" 1)" --addresses $((addresses - 1)) --rate 8000 --rounds 3 --query who.test)
    wait "$flooder" "$performer"
    flooded=$(cat "$work/flooded") perf=$(awk '/Queries completed/ { print $3 }' "$work/dnsperf")
    after=$(admitted) drops=$(($(dropped) - drops)) kernel=$(($(socket_drops) - kernel)) udp=$(($(input_errors) - udp))
    echo "$others" "$flooded" "$before $after"
    cat "$work/dnsperf"
    local lost=$(($(jq .sent <<< "$others") - $(jq .answers <<< "$others"))) own allowed share
    own=$((after - before - $(jq .sent <<< "$others") - perf))
    allowed=$((100 + rate * $(jq .ms <<< "$flooded") / 1000))
    # In hundredths of a percent.
    share=$(((own - allowed) * 10000 / allowed))
    echo "figures: flood of $(jq .sent <<< "$flooded") in $(jq .ms <<< "$flooded") ms, $own admitted of $allowed allowed ($(awk "BEGIN { print $share / 100 }") %)"
    echo "figures: others: $(jq .sent <<< "$others") queries to $((addresses - 1)) addresses, $lost without an answer; dnsperf: $perf" \
        "answered, $(awk '/Queries lost/ { print $3 }' "$work/dnsperf") lost"
    echo "figures: dropped: $drops by the stage's count, $kernel by the sockets', $udp UDP input errors"
    [[ $lost -eq 0 && $(jq .least <<< "$others") -eq 3 && $(awk '/Queries lost/ { print $3 }' "$work/dnsperf") -eq 0 ]] &&
        [[ $drops -eq $kernel && $drops -eq $udp && $drops -eq $(($(jq .sent <<< "$flooded") - own)) ]] &&
        ((share <= 100 && share >= -100))
}

# In a flood: the chain is applied anew, again and again; the sockets are those they were, and no bucket is forgotten.
upgrade_in_flood() {
    local kernel own allowed sockets other='    counters: false'
    kernel=$(socket_drops) sockets=$(cookies)
    send --to "$(endpoint 4 0)" --rate $((rate * 10)) --seconds 8 --query who.test --from 203.0.0.0 > "$work/flooded" &
    local flooder=$!
    for _ in 1 2; do
        sleep 1.5
        apply_udp "$hook" "$other"$'\n'"$1" || return
        sleep 1.5
        apply_udp "$hook" "$1" || return
    done
    wait "$flooder"
    own=$(($(jq .sent < "$work/flooded") - $(socket_drops) + kernel)) allowed=$((100 + rate * $(jq .ms < "$work/flooded") / 1000))
    echo "figures: four generations, $own admitted of $allowed allowed"
    [[ $(cookies) == "$sockets" ]] && ((own <= allowed * 101 / 100 && own >= allowed * 99 / 100))
}

# The server is killed and started again in mid-flood.
restart_in_flood() {
    local start limited first last began
    send --to "$(endpoint 4 0)" --rate $((rate * 10)) --seconds 10 --query who.test --from 203.0.0.0 > "$work/flooded" &
    local flooder=$!
    sleep 2
    kill -9 "$server"
    wait "$server" 2> /dev/null
    start_server || return
    start=$(date +%s%N) first=$(dropped)
    until [[ $(dropped) -gt $first ]]; do
        (($(date +%s%N) - start < 3000000000)) || break
    done
    limited=$((($(date +%s%N) - start) / 1000000))
    first=$(admitted) began=$(date +%s%N)
    sleep 4
    last=$(admitted)
    local per=$(((last - first) * 1000 / (($(date +%s%N) - began) / 1000000)))
    wait "$flooder"
    echo "figures: limited $limited ms after the server answered again; then $per admitted a second of $rate allowed"
    ((limited <= 1000 && per <= rate * 102 / 100 && per >= rate * 95 / 100))
}

one_hook() {
    check "$1: goes live" apply_udp "$2" "$3"
    check "$1: all $addresses IPv4 addresses answer" all_answer 4
    check "$1: all $addresses IPv6 addresses answer" all_answer 6
    check "$1: one IPv4 address flooded at $times times its limit: the others lose nothing" flood 4
    check "$1: one IPv6 address flooded at $times times its limit: the others lose nothing" flood 6
    check "$1: upgrades in mid-flood touch no socket" upgrade_in_flood "$3"
    check "$1: the service restarted in mid-flood is limited again within a second" restart_in_flood
    check "$1: is detached" sluicectl detach "$2"
}

if ! build_udp_topology > "$work/topology" 2>&1; then
    cat "$work/topology" >&2
    exit 1
fi
echo "testbed-udp: unbound serves $addresses addresses of each family ($SECONDS s)"
[[ ${1:-cgroup} != cgroup ]] || one_hook cgroup "cgroup-skb-ingress:$slice" ''
# The rule finds the sockets, now and when the service has been restarted.
[[ ${1:-sockets} != sockets ]] || one_hook sockets socket-filter:dns '    match: [ { local: "*:53/udp" } ]'
exit "$failed"
