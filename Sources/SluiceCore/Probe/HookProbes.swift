// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

extension Probe {
    /// A hook is there when a program for it loads; tcx, whose programs are tc's, when the kernel knows that kind of link.
    static var hooks: [ProbeItem] {
        func hook(
            _ name: String, _ purpose: String, since: (Int, Int)? = nil, required: Bool = false,
            _ attempt: @escaping () throws -> Void
        ) -> ProbeItem {
            Probe(group: "hook", name: name, required: required, purpose: purpose, since: since, attempt: attempt).run()
        }
        func program(_ kind: ProgramKind) -> () throws -> Void { { try KernelProbe.load(kind) } }
        return [
            hook("xdp", "packets as they come off the wire", required: true, program(.xdp)),
            hook("xdp with frags", "packets above a page", since: (5, 18), program(.xdp.taking(frags: true))),
            hook("tcx", "traffic control, with links", since: (6, 6)) { try KernelProbe.tcxLink() },
            hook(
                "tc (clsact)", "traffic control; whether its modules are there shows when a qdisc is made", program(.tc)
            ),
            hook("cgroup-skb ingress", "what a service receives", program(.cgroupSkbIngress)),
            hook("cgroup-skb egress", "what a service sends", program(.cgroupSkbEgress)),
            hook("cgroup connect", "where a service connects to", program(.cgroupConnect4)),
            hook("sockops", "events of TCP connections", program(.sockOps)),
            hook("sk-lookup", "which socket a connection goes to", since: (5, 9), program(.skLookup)),
            hook("sk-skb", "streams between sockets", since: (5, 13), program(.skSkb)),
            hook("sk-msg", "messages between sockets", program(.skMsg)),
            hook("sk-reuseport", "which of a group's sockets", program(.skReuseport)),
            hook("socket filter", "a socket's own filter", program(.socketFilter)),
            hook("netfilter", "beside nftables, with links", since: (6, 4), program(.netfilter)),
            hook("raw tracepoint", "observers", program(.rawTracepoint)),
        ]
    }

    /// Map types, made for real.
    static var maps: [ProbeItem] {
        let types: [(MapType, Bool, (Int, Int)?)] = [
            (.array, true, nil), (.hash, true, nil), (.perCPUArray, true, nil), (.perCPUHash, false, nil),
            (.lruHash, false, nil), (.lruPerCPUHash, false, nil), (.lpmTrie, false, nil), (.ringBuffer, false, (5, 8)),
        ]
        return types.map { type, required, since in
            Probe(
                group: "map", name: type.description, required: required, purpose: "can be made", since: since,
                attempt: { try KernelProbe.map(type) }
            ).run()
        }
    }

    static var features: [ProbeItem] {
        func feature(
            _ name: String, _ purpose: String, since: (Int, Int)? = nil, required: Bool = false,
            _ attempt: @escaping () throws -> Void
        ) -> ProbeItem {
            Probe(group: "feature", name: name, required: required, purpose: purpose, since: since, attempt: attempt)
                .run()
        }
        return [
            feature("program array, frozen", "chains", since: (5, 2), required: true) {
                try KernelProbe.programArray()
            },
            feature("bind a map", "what a generation is stays with its programs", since: (5, 10), required: true) {
                try KernelProbe.bindMap()
            },
            feature("test run", "preflight", required: true) { try KernelProbe.testRun() },
            feature("membarrier", "waiting for packets in flight; without it that takes a second") {
                try KernelProbe.membarrier()
            },
            feature("batch look-up, hash", "`map dump` of large maps; without it entry by entry", since: (5, 6)) {
                try KernelProbe.batch(.hash)
            },
            feature("batch look-up, percpu_array", "the same", since: (5, 13)) { try KernelProbe.batch(.perCPUArray) },
            feature("bpf_loop", "loops in stages", since: (5, 17)) { try KernelProbe.helper(181) },
            feature("bpf_for_each_map_elem", "merging state in the kernel", since: (5, 13)) {
                try KernelProbe.helper(164)
            },
            feature("bpf_xdp_load_bytes", "headers that lie in fragments", since: (5, 18)) {
                try KernelProbe.helper(189)
            },
            feature("bpf_ringbuf_output", "events from stages", since: (5, 8)) { try KernelProbe.helper(130) },
            feature("compare and exchange", "limits without locks", since: (5, 12)) {
                try KernelProbe.compareAndExchange()
            },
            feature("trampolines (fentry)", "nothing here: chains are made by tail calls for that reason") {
                try KernelProbe.trampoline()
            },
        ]
    }
}
