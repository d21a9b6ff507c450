# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
#     client ── router ──┬── e1    each edge: sluiced, volumetric-dos and l4lb on xdp:eth0, l4lb on tc-egress:eth0
#               (ECMP)   ├── e2    for its health checks; the VIPs on lo; nginx on ports 80 and 443, a DNS server on
#                        ├── e3    port 53
#                        └── e4
#
# Sourced; needs $work and $build.
# shellcheck disable=SC2154

edges=4
vip4=198.51.100.10 vip6=2001:db8:1::10

within() {
    local name=$1
    shift
    nsenter --net="/run/netns/$name" "$@"
}

# sluicectl of edge $1.
ctl() {
    local edge=$1
    shift
    SLUICE_SOCKET=$work/e$edge/sock "$build/sluicectl" "$@"
}

until_true() {
    local what=$1
    shift
    for _ in {1..300}; do
        "$@" > "$work/until" 2>&1 && return
        sleep 0.1
    done
    echo "waited in vain for $what: $(tail -n 5 "$work/until")" >&2
    return 1
}

namespace() {
    ip netns add "$1" && within "$1" ip link set lo up &&
        within "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
            net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.accept_local=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
}

# link NAME IF ADDRESS4 ADDRESS6 ROUTER-IF ROUTER4 ROUTER6 MTU: a link between NAME and the router. A veth leaves checksums
# to hardware that is not there, and what is put into a tunnel must have its own.
link() {
    ip link add "$2" mtu "$8" netns "$1" type veth peer name "$5" mtu "$8" netns router &&
        within "$1" ip address add "$3" dev "$2" && within "$1" ip address add "$4" dev "$2" nodad &&
        within router ip address add "$6" dev "$5" && within router ip address add "$7" dev "$5" nodad &&
        within "$1" ethtool -K "$2" tx off > /dev/null && within router ethtool -K "$5" tx off > /dev/null &&
        within "$1" ip link set "$2" up && within router ip link set "$5" up &&
        within "$1" ip route add default via "${6%/*}" && within "$1" ip -6 route add default via "${7%/*}"
}

# ECMP over the edges that are named, by addresses and ports.
spread() {
    local edge hops4=() hops6=()
    for edge in "$@"; do
        hops4+=(nexthop via "10.2.$edge.2") hops6+=(nexthop via "fd02:$edge::2")
    done
    within router ip route replace "$vip4/32" "${hops4[@]}" && within router ip -6 route del "$vip6/128" 2> /dev/null
    within router ip -6 route add "$vip6/128" "${hops6[@]}"
}

# spec EDGE MTU [ENCAPSULATION]
spec() {
    local edge=$1 mtu=$2 encapsulation=${3:-gue} to=vip i
    [[ $encapsulation == gue ]] || to=server
    cat << END
chains:
  - hook: xdp:eth0
    stages:
      - name: dos
        plugin: volumetric-dos
        config: { rules: [ { name: chargen, protocol: udp, source-port: 19 } ] }
      - name: lb
        plugin: l4lb
        config: &lb
          director: { source-v4: 10.2.$edge.2, source-v6: "fd02:$edge::2", mtu: $mtu }
          local: e$edge
          servers:
END
    for ((i = 1; i <= edges; i++)); do
        echo "            - { name: e$i, id: $i, address: 10.2.$i.2 }"
    done
    cat << END
          pools:
            - { name: web, servers: [e1, e2, e3, e4], encapsulation: $encapsulation, check: { type: http, port: 80, path: /who, to: $to, interval: 1s, timeout: 900ms } }
            - { name: tls, servers: [e1, e2, e3, e4], entries: 1024, check: { type: https, port: 443, path: /who, to: vip, interval: 1s, timeout: 900ms } }
            - { name: dns, servers: [e1, e2, e3, e4], entries: 1024, check: { type: dns, port: 53, query: who.test, interval: 1s, timeout: 900ms } }
          services:
            - { name: http4, vip: $vip4, protocol: tcp, port: 80, pool: web }
            - { name: http6, vip: "$vip6", protocol: tcp, port: 80, pool: web }
            - { name: https4, vip: $vip4, protocol: tcp, port: 443, pool: tls }
            - { name: https6, vip: "$vip6", protocol: tcp, port: 443, pool: tls }
            - { name: dns4, vip: $vip4, protocol: udp, port: 53, pool: dns }
            - { name: dns6, vip: "$vip6", protocol: udp, port: 53, pool: dns }
            - { name: dns4-tcp, vip: $vip4, protocol: tcp, port: 53, pool: dns }
  - hook: tc-egress:eth0
    stages:
      - name: lb
        plugin: l4lb
        config: *lb
END
}

# apply MTU [ENCAPSULATION]: the chains of all edges.
apply() {
    local edge
    for ((edge = 1; edge <= edges; edge++)); do
        spec "$edge" "$@" > "$work/e$edge/spec.yaml" && ctl "$edge" apply -f "$work/e$edge/spec.yaml" || return
    done
}

# The servers of an edge: nginx says who it is, and so does the DNS server.
serve() {
    local edge=$1 folder=$work/e$1
    mkdir -p "$folder/www" && echo "e$edge" > "$folder/www/who" && cp "$work/file" "$folder/www/file" || return
    chmod -R a+rX "$folder/www"
    cat > "$folder/nginx.conf" << END
daemon off;
pid $folder/nginx.pid;
error_log $folder/nginx.log;
worker_processes 1;
events { worker_connections 4096; }
http {
    access_log off;
    client_max_body_size 100m;
    client_body_temp_path $folder/body;
    keepalive_timeout 600s;
    send_timeout 600s;
    server {
        listen [::]:80 ipv6only=off backlog=4096;
        listen [::]:443 ssl ipv6only=off backlog=4096;
        ssl_certificate $work/certificate.pem;
        ssl_certificate_key $work/key.pem;
        root $folder/www;
        location / { }
        # Says where what was sent lies.
        location /upload {
            client_body_in_file_only on;
            proxy_set_header X-File \$request_body_file;
            proxy_set_body off;
            proxy_pass http://127.0.0.1:81;
        }
        location /slow { limit_rate 30k; alias $folder/www/file; }
    }
    server {
        listen 127.0.0.1:81;
        location / { return 200 "\$http_x_file"; }
    }
}
END
    within "e$edge" nginx -c "$folder/nginx.conf" > "$folder/nginx.out" 2>&1 &
    within "e$edge" dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --pid-file= --user=root \
        --txt-record="who.test,e$edge" --address="/who.test/10.2.$edge.2" > "$folder/dnsmasq.out" 2>&1 &
}

start_daemon() {
    local edge=$1 folder=$work/e$1
    within "e$edge" "$build/sluiced" --socket "$folder/sock" --bpffs "$work/bpf/e$edge" --state "$folder/state" \
        --plugins "$work/plugins" --idle-exit 0 > "$folder/sluiced.log" 2>&1 &
    until_true "sluiced of e$edge" ctl "$edge" version
}

# A plugin's folder, as `make install` makes it.
install_plugin() {
    local target=$1 folder=$work/plugins/$2
    mkdir -p "$folder" && cp "$build/$target" "$folder/${2%/*}" && cp "$build/sluice_$target.resources/"*.bpf.o "$folder/"
}

build_topology() {
    local edge noop=$build/sluice_noop.resources/noop.bpf.o
    mount -t tmpfs tmpfs /run/netns 2> /dev/null || { mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns; } || return
    mkdir "$work/bpf" && mount -t bpf -o mode=0700 bpf "$work/bpf" || return
    install_plugin l4lb-1_1 l4lb/1.1 && install_plugin volumetric-dos-1_1 volumetric-dos/1.1 || return
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=edge \
        -keyout "$work/key.pem" -out "$work/certificate.pem" || return
    head -c 400000 /dev/urandom > "$work/file" && head -c 5000000 /dev/urandom > "$work/big"
    namespace router && namespace client || return
    within router sysctl -qw net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1
    link client eth0 10.1.0.2/24 fd01::2/64 c0 10.1.0.1/24 fd01::1/64 1500 || return
    for ((edge = 1; edge <= edges; edge++)); do
        mkdir "$work/e$edge" && namespace "e$edge" || return
        link "e$edge" eth0 "10.2.$edge.2/24" "fd02:$edge::2/64" "r$edge" "10.2.$edge.1/24" "fd02:$edge::1/64" 1600 || return
        within "e$edge" ip address add "$vip4/32" dev lo && within "e$edge" ip address add "$vip6/128" dev lo nodad || return
        # What clients are sent must get through to them.
        within "e$edge" ip route replace default via "10.2.$edge.1" advmss 1460
        within "e$edge" ip -6 route replace default via "fd02:$edge::1" advmss 1440
        # A veth takes frames that XDP sends where its other end has a program too.
        within router ip link set dev "r$edge" xdpdrv object "$noop" section xdp || return
        serve "$edge" || return
        start_daemon "$edge" || return
    done
    spread 1 2 3 4 && apply 1600
}
