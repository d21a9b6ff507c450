/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/xdp_stage.h>

#include "director.h"

/* Set before load. What is off is not there: the verifier deletes it. */

/* Prefix lengths that have services; see l4lb_length. */
const volatile struct l4lb_length lengths_v4[L4LB_LENGTHS] = {};
const volatile struct l4lb_length lengths_v6[L4LB_LENGTHS] = {};
const volatile __u64 vip_filter[L4LB_FILTER_WORDS] = {};
/* Whether any service has a range of ports, or all. */
const volatile __u8 has_ranges = 0;
/* Whether pings of VIPs are answered. */
const volatile __u8 answers_echo = 0;
/* Whether any service goes by connection id, and the first three bits of those. */
const volatile __u8 has_quic = 0;
const volatile __u8 quic_config = 0;
/* Of the way to the servers. */
const volatile __u32 mtu = 1500;
/* How many senders of too big packets a CPU tells each second; 0 for none. */
const volatile __u32 too_big_rate = 100;
/* Where encapsulated packets go: 1 where the kernel's routes say, 0 back to whoever sent them, a router. */
const volatile __u8 by_route = 1;
/* Makes the hash another one. All directors of a VIP must have the same. */
const volatile __u64 hash_seed = 0;
/* The number of this very server, and its address in `servers`; 0 turns the redirector off. Network byte order. */
const volatile __u16 local_server = 0;
const volatile __be32 local_v4 = 0;
const volatile struct l4lb_address local_v6 = {};

/* Services of one port: their number. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct l4lb_port_key);
    __type(value, __u32);
} services_by_port SEC(".maps");

/* What a prefix has besides: ranges of ports, fragments, pings. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct l4lb_vip_key);
    __type(value, struct l4lb_vip);
} vips SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct l4lb_service);
} services SEC(".maps");

/* The forwarding tables of all pools, one after the other. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct l4lb_chunk);
} tables SEC(".maps");

/* The servers of pools that go by connection id. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct l4lb_member);
    __type(value, __u8);
} quic_members SEC(".maps");

/* By their numbers. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, L4LB_SERVERS);
    __type(key, __u32);
    __type(value, struct l4lb_server);
} servers SEC(".maps");

/* Their state and weight, by their numbers, see enum l4lb_state; outlives generations. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, L4LB_SERVERS);
    __type(key, __u32);
    __type(value, __u64);
} servers_live SEC(".maps") SLUICE_STATE;

/* The ways to them, by their numbers. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, L4LB_SERVERS);
    __type(key, __u32);
    __type(value, struct l4lb_route);
} routes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct l4lb_told);
} too_big_told SEC(".maps");

/* What became of the packets, by enum l4lb_verdict. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, L4LB_VERDICTS);
    __type(key, __u32);
    __type(value, struct sluice_count);
} verdicts SEC(".maps");

/* Packets for each service, by its number. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sluice_count);
} service_counters SEC(".maps");

/* Packets sent to each server as first hop, by l4lb_server.counter. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sluice_count);
} server_counters SEC(".maps");
