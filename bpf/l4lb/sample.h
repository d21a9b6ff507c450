/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/sample.h>

#include "packet.h"

L4LB_STEP l4lb_submit_sample(struct l4lb_packet *packet, __u32 verdict, __u32 service, __u64 seen)
{
    struct l4lb_sample *sample;

    if (!packet)
        return 0;
    sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
    if (!sample)
        return 0;
    *sample = (struct l4lb_sample){
        .seen = seen,
        .cpu = bpf_get_smp_processor_id(),
        .length = packet->length > 65535 ? 65535 : packet->length,
        .service = service,
        .source = packet->flow.source,
        .destination = packet->flow.destination,
        .source_port = packet->flow.source_port,
        .destination_port = packet->flow.destination_port,
        .way = {packet->way.servers[0], packet->way.servers[1], packet->way.servers[2], packet->way.servers[3]},
        .verdict = verdict,
        .protocol = packet->flow.protocol,
        .tcp_flags = packet->flow.tcp_flags,
        .marks = (packet->place & L4LB_SAMPLE_PLACE) | (packet->flow.by_pair ? L4LB_SAMPLE_PAIR : 0) |
                 (packet->quoted ? L4LB_SAMPLE_QUOTED : 0) | (packet->outer ? L4LB_SAMPLE_TUNNEL : 0) |
                 (packet->flow.family == 6 ? L4LB_SAMPLE_V6 : 0),
    };
    bpf_ringbuf_submit(sample, 0);
    return 0;
}

/* Samples a packet if its turn has come. Never more than was asked for. */
static __always_inline void l4lb_sample(struct l4lb_packet *packet, enum l4lb_verdict verdict, __u32 service)
{
    const struct sluice_sampling *state = sluice_sample(0);

    if (state)
        l4lb_submit_sample(packet, verdict, service, state->seen);
}
