# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
# Numbered datagrams from the client to port 9000 of the edge, each of which must come through once and in order; with
# them some to port 7, none of which may. Sourced after container.sh.

start_traffic() {
    rm -f "$work"/{stop,sent,received,leaked}
    local port file
    for port in 9000 7; do
        file=received
        ((port == 9000)) || file=leaked
        # Before others: a receiver that has to wait for the processor loses what its socket cannot hold.
        nsenter --target "$leader" --net \
            nice -n -20 socat -u "UDP4-RECV:$port,rcvbuf=4194304" "CREATE:$work/$file" &
        receivers+=($!)
    done
    until_true 'receivers' receiving || return
    # Until the edge answers, the client's kernel keeps but a few datagrams for it.
    until_true 'the network' has_address || return
    send &
    sender=$!
    until_true 'traffic' test -s "$work/received"
}

has_address() { [[ $(inside ip -json -4 address show dev edge0 up | jq '.[0].addr_info | length') -gt 0 ]]; }
receiving() { [[ -e $work/received && -e $work/leaked ]]; }

# A thousand datagrams a second, until the file "stop" is there.
send() {
    local count=0 pause
    mkfifo "$work/pause" && exec {pause}<> "$work/pause" && rm "$work/pause"
    exec {counted}<> "/dev/udp/$edge/9000" {dropped}<> "/dev/udp/$edge/7"
    until [[ -e $work/stop ]]; do
        for _ in {1..5}; do echo $((++count)) >&"$counted"; done
        echo "not to be seen" >&"$dropped"
        # A pause without a process.
        read -rt 0.005 -u "$pause"
    done
    echo "$count" > "$work/sent"
}

# Ends the traffic, once all of it has arrived.
end_traffic() {
    touch "$work/stop"
    wait "$sender"
    until_true 'the last datagram' all_here
    kill "${receivers[@]}"
    wait "${receivers[@]}"
    receivers=()
}

all_here() { [[ $(tail -n 1 "$work/received") == $(< "$work/sent") ]]; }

# Says how the traffic went that has ended; fails unless each datagram came once, in order.
nothing_lost() {
    local sent
    sent=$(< "$work/sent")
    echo "$sent sent, $(wc -l < "$work/received") received, $(wc -l < "$work/leaked") past the filter"
    [[ ! -s $work/leaked ]]
    cmp <(seq "$sent") "$work/received"
}

# Whether the chain does its work now: what it lets pass comes, what it drops does not.
filters() {
    local before leaked
    before=$(tail -n 1 "$work/received") leaked=$(wc -c < "$work/leaked")
    until_true 'a hundred datagrams more' has_come $((before + 100)) || return
    [[ $(wc -c < "$work/leaked") -eq $leaked ]]
}

has_come() { [[ $(tail -n 1 "$work/received") -ge $1 ]]; }
