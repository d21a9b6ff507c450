// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Synchronization

internal import CKernel

/// One end of a veth pair. `"edge0"` is an end in the lab's own namespace, without addresses.
public struct VethEnd: ExpressibleByStringLiteral, Sendable {
    public var name: String
    /// A namespace that ``Lab/addNamespace(_:)`` made; nil for the lab's own.
    public var netns: String?
    /// With the prefix length: `192.0.2.1/24`, `2001:db8::1/64`.
    public var addresses: [String]
    /// `02:00:00:00:00:01` and `02:00:00:00:00:02`, unless given.
    public var mac: String?

    public init(_ name: String, netns: String? = nil, addresses: [String] = [], mac: String? = nil) {
        self.name = name
        self.netns = netns
        self.addresses = addresses
        self.mac = mac
    }

    public init(stringLiteral name: String) { self.init(name) }
}

extension Lab {
    /// Makes a second network namespace, as `ip netns add` does, with `lo` up. Its name is the lab's own affair.
    public func addNamespace(_ name: String) throws {
        try check(["ip", "netns", "add", name])
        try ip(["link set lo up"], netns: name)
    }

    /// Makes a veth pair and sets it up: fixed addresses, each end a permanent neighbour of the other, and no word from
    /// the kernel by itself (no ARP, no IPv6 autoconfiguration), so that every packet that is seen is one that was
    /// sent.
    ///
    /// - Parameters:
    ///   - mtu: of both ends. Native XDP without frags takes 3,498 bytes at most.
    ///   - queues: receive and transmit queues of each end; one by default, which keeps packets in order.
    public func addVeth(_ first: VethEnd, _ second: VethEnd, mtu: Int = 1500, queues: Int = 1) throws {
        var ends = (first, second)
        ends.0.mac = first.mac ?? "02:00:00:00:00:01"
        ends.1.mac = second.mac ?? "02:00:00:00:00:02"
        func words(_ end: VethEnd) -> String {
            "name \(end.name) address \(end.mac!) mtu \(mtu) numrxqueues \(queues) numtxqueues \(queues)"
                + (end.netns.map { " netns \($0)" } ?? "")
        }
        try ip(["link add \(words(ends.0)) type veth peer \(words(ends.1))"])
        try setUp(ends.0, peer: ends.1)
        try setUp(ends.1, peer: ends.0)
    }

    private func setUp(_ end: VethEnd, peer: VethEnd) throws {
        let speaksIPv6 = end.addresses.contains { $0.contains(":") }
        try inNamespace(end.netns) {
            let folder = "/proc/sys/net/ipv6/conf/\(end.name)/"
            for (name, value) in [("accept_ra", "0"), ("autoconf", "0"), ("disable_ipv6", speaksIPv6 ? "0" : "1")] {
                // A kernel without IPv6 has none of these, and needs none.
                try? value.write(toFile: folder + name, atomically: false, encoding: .utf8)
            }
        }
        let addresses = end.addresses.map { "addr add \($0) dev \(end.name)\($0.contains(":") ? " nodad" : "")" }
        let neighbours = peer.addresses.compactMap { $0.split(separator: "/").first }
            .filter { !$0.contains(":") || speaksIPv6 }
            .map { "neigh replace \($0) lladdr \(peer.mac!) dev \(end.name) nud permanent" }
        try ip(
            ["link set \(end.name) addrgenmode none"] + addresses + ["link set \(end.name) up"] + neighbours,
            netns: end.netns)
    }

    /// Runs `ip` with each line as its arguments, in one process; stops at the first that fails.
    public func ip(_ lines: [String], netns: String? = nil) throws {
        try check(["ip", "-batch", "-"], netns: netns, input: lines.map { $0 + "\n" }.joined())
    }

    /// Runs `body` on a thread of its own in another of the lab's namespaces (nil: the lab's own). Sockets opened there
    /// stay of that namespace.
    public func inNamespace<Value: Sendable>(_ netns: String?, _ body: @escaping @Sendable () throws -> Value) throws
        -> Value
    {
        guard let netns else { return try body() }
        let results = LabMailbox<Result<Value, any Error>>()
        LabThread {
            results.put(
                Result {
                    try LabError.check(ck_lab_enter("/run/netns/\(netns)"), "enter namespace '\(netns)'")
                    return try body()
                })
        }.join()
        return try results.take().get()
    }

    /// The index of an interface, in the lab's own or a second namespace.
    public func interfaceIndex(_ name: String, netns: String? = nil) throws -> Int {
        try inNamespace(netns) {
            let index = if_nametoindex(name)
            guard index != 0 else { throw LabError("find interface '\(name)'", errno: errno) }
            return Int(index)
        }
    }
}
