# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by run.sh.
# shellcheck disable=SC2154

all_checks() {
    check 'HTTP over IPv4: 200 connections, all four servers' http_by_all "http://$vip4/who"
    check 'HTTP over IPv6: 200 connections, all four servers' http_by_all "http://[$vip6]/who"
    check 'HTTPS over IPv4: 200 connections, all four servers' http_by_all "https://$vip4/who"
    check 'HTTPS over IPv6: 200 connections, all four servers' http_by_all "https://[$vip6]/who"
    check 'DNS over IPv4: 100 queries, all four servers' dns_by_all "$vip4"
    check 'DNS over IPv6: 100 queries, all four servers' dns_by_all "$vip6"
    check 'DNS over TCP' dns_over_tcp
    check 'pings of both VIPs' pings
    check '5 MB up and 400 kB down, in packets of the MTU' transfers
    check 'checks find all servers up, on each edge' all_up
    check 'checks of HTTP, HTTPS and DNS go through the tunnel, and answers come from VIPs' through_the_tunnel
    check 'who sends what is too big for the tunnel is told so' too_big
    check '5 MB up where full packets do not fit the tunnel' with_mtu 1500 transfers
    check '200 downloads through drains, weights, upgrades and re-hashing: none breaks' through_changes
    check 'the same by IPIP, which names no second server: some break, so the check can fail' breaks_without_hops
    check 'a server that dies is taken out by its check within 5 s' a_server_dies
    check 'so is one that takes nothing out of tunnels, though its nginx answers' a_tunnel_ends
    check 'no daemon has complained' quiet_logs
}

# Who answers 200 connections, each from another port; fails unless all do, and each server has its part.
http_by_all() {
    local answers urls
    mapfile -t urls < <(yes "$1" | head -n 200)
    answers=$(within client curl -gsSk --parallel --parallel-max 8 -H 'Connection: close' --max-time 5 "${urls[@]}")
    tally "$answers" 200
}

# tally ANSWERS COUNT: so many lines, of all servers and nothing else.
tally() {
    sort <<< "$1" | uniq -c
    [[ $(wc -l <<< "$1") -eq $2 && $(sort -u <<< "$1") == "$(printf 'e%s\n' 1 2 3 4)" ]]
}

dns_by_all() {
    local answers
    answers=$(for _ in {1..100}; do
        within client dig +short +tries=1 +time=2 "@$1" who.test TXT || echo broken
    done | tr -d '"')
    tally "$answers" 100
}

dns_over_tcp() {
    for _ in {1..20}; do within client dig +tcp +short +tries=1 +time=2 "@$vip4" who.test TXT || return; done
}

pings() { within client ping -c 3 -i 0.2 -W 1 "$vip4" && within client ping -c 3 -i 0.2 -W 1 "$vip6"; }

transfers() {
    local host file
    for host in "$vip4" "[$vip6]"; do
        for _ in {1..8}; do
            file=$(within client curl -gsS --max-time 20 --data-binary "@$work/big" -H Expect: "http://$host/upload") &&
                cmp "$file" "$work/big" && rm "$file" || return
            within client curl -gsS --max-time 20 "http://$host/file" | cmp - "$work/file" || return
        done
    done
}

all_up() {
    local edge
    for ((edge = 1; edge <= edges; edge++)); do until_true "checks of e$edge" finds_all_up "$edge" || return; done
}

finds_all_up() {
    ctl "$1" stats xdp:eth0 --stage lb --top checks -o json | tee "$work/found" |
        jq -e 'length == 12 and all(.[]; .state == "up")' || { cat "$work/found" && return 1; }
}

# On each edge: checks of three other servers by HTTP and by HTTPS in each second, of some ten packets with as many answers.
through_the_tunnel() {
    local edge
    for ((edge = 1; edge <= edges; edge++)); do
        until_true 'packets of checks' has_sent "$edge" 100 || return
    done
    echo "answers: $(verdict check-answer), of servers themselves: $(verdict check-astray)"
    [[ $(verdict check-answer) -gt 400 && $(verdict check-astray) -eq 0 ]]
}

has_sent() {
    ctl "$1" stats tc-egress:eth0 -o json | jq -e --argjson least "$2" \
        '.stages[0].tables[] | select(.name == "checks") | .rows | map({ (.label): .values[0] }) | add | .tunnelled > $least and .lost == 0'
}

# 1,600 less 40 bytes: what is longer cannot be the client's, whose MTU is 1,500; so the tunnel is made narrower.
with_mtu() {
    local mtu=$1 status
    shift
    apply "$mtu" || return
    "$@"
    status=$?
    within client ip route flush cache
    apply 1600 || return
    return "$status"
}

too_big() { with_mtu 1500 too_big_for_the_tunnel; }

# 1,480 bytes with 40 more do not fit into 1,500: TCP of that length with DF is told.
too_big_for_the_tunnel() {
    local before after
    before=$(verdict too-big)
    # What its own director serves goes through no tunnel.
    for _ in {1..8}; do
        within client curl -gsS --max-time 10 --data-binary "@$work/big" -H Expect: "http://$vip4/upload" > "$work/where" || return
        xargs rm < "$work/where"
        after=$(verdict too-big)
        [[ $after -eq $before ]] || break
    done
    echo "too-big: $before, then $after"
    [[ $after -gt $before ]] && within client ip route get "$vip4" | grep 'mtu 1460'
}

# The packets with a verdict of l4lb, on all edges.
verdict() {
    local edge sum=0
    for ((edge = 1; edge <= edges; edge++)); do
        sum=$((sum + $(ctl "$edge" stats xdp:eth0 -o json |
            jq "[.stages[] | select(.name == \"lb\") | .tables[] | select(.name == \"verdicts\") | .rows[] | select(.label == \"$1\") | .values[0]] | add")))
    done
    echo "$sum"
}

# On each edge: all directors are told the same.
lb() {
    local edge
    for ((edge = 1; edge <= edges; edge++)); do ctl "$edge" lb "$1" xdp:eth0 lb "${@:2}" || return; done
}

# Downloads of some 13 seconds, half of them over IPv6, while everything changes.
through_changes() {
    local pids=() pid index broken=0 host
    all_up || return
    : > "$work/broken"
    for ((index = 0; index < 200; index++)); do
        host=$vip4
        ((index % 2)) && host="[$vip6]"
        { within client curl -gsS --max-time 45 "http://$host/slow" | cmp - "$work/file"; } 2>> "$work/broken" &
        pids+=($!)
    done
    sleep 1
    lb drain e2 && sleep 1 && spread 1 2 4 && sleep 0.5 && lb weight e1 30 && sleep 0.5 && spread 4 1 3 2 && sleep 0.5 &&
        sed 's/name: chargen/name: chargen-2/; s/mtu: 1600/mtu: 1590/' "$work/e3/spec.yaml" | ctl 3 apply -f - && sleep 0.5 &&
        ctl 3 rollback xdp:eth0 && lb weight e1 100 && lb fill e2 && sleep 1 && lb drain e4 && sleep 1 && lb up e4 e2 || broken=1
    for pid in "${pids[@]}"; do wait "$pid" || broken=$((broken + 1)); done
    echo "$broken broken; onward: $(verdict onward), kept as established: $(verdict kept-established)"
    tail -n 5 "$work/broken"
    [[ $broken -eq 0 ]]
}

breaks_without_hops() {
    local broken=1
    apply 1600 ipip || return
    through_changes && broken=0
    lb up e2
    lb up e4
    apply 1600 && [[ $broken -eq 1 ]]
}

a_server_dies() {
    local pid
    pid=$(cat "$work/e2/nginx.pid") && kill "$pid" || return
    until_true 'the check' is_down 1 e2 && sleep 1 || return
    for _ in {1..100}; do within client curl -gsS --max-time 2 "http://$vip4/who" || return; done | sort | uniq -c
    serve 2
    until_true 'it to be up again' all_up
}

# Its own address answers as before: so it does to a check that goes there.
a_tunnel_ends() {
    ctl 2 detach xdp:eth0 && until_true 'the check' is_down 1 e2 && within e1 curl -gsS --max-time 2 http://10.2.2.2/who || return
    ctl 2 apply -f "$work/e2/spec.yaml" && until_true 'it to be up again' all_up
}

is_down() { ctl "$1" lb servers xdp:eth0 lb -o json | jq -e ".[] | select(.server == \"$2\") | .state == \"down (checks)\""; }

quiet_logs() {
    if grep -hE ' (error|critical) ' "$work"/e*/sluiced.log; then return 1; fi
}
