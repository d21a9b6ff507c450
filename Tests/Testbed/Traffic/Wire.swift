// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CKernel
import Foundation

/// A long wire: frames of one interface go out by the other so much later, both ways. Says so if it loses any. Needs
/// CAP_NET_RAW.
struct Wire: ParsableCommand {
    @Argument(help: "Two interfaces.") var interfaces: [String]
    @Option(help: "How long, in ms.") var delay = 30

    func validate() throws {
        guard interfaces.count == 2 else { throw ValidationError("a wire has two ends") }
    }

    func run() throws {
        let ends = try interfaces.map(end)
        var underWay: [(due: Int, to: Int, frame: [UInt8])] = [], first = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            var polls = ends.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            wait(for: &polls, at: first < underWay.count ? max(0, underWay[first].due - now()) : -1)
            for (index, poll) in polls.enumerated() where poll.revents != 0 {
                while let frame = receive(ends[index], &buffer) {
                    underWay.append((now() + delay, 1 - index, frame))
                }
            }
            while first < underWay.count, underWay[first].due <= now() {
                let (_, to, frame) = underWay[first]
                if send(ends[to], frame, frame.count, 0) < 0 { complain(interfaces[to], "has no room for a frame") }
                first += 1
            }
            if first > 4096 {
                underWay.removeFirst(first)
                first = 0
                for (end, interface) in zip(ends, interfaces) where dropped(end) > 0 {
                    complain(interface, "had frames that were not fetched in time")
                }
            }
        }
    }

    private func end(_ interface: String) throws -> Int32 {
        let index = if_nametoindex(interface)
        guard index > 0 else { throw TrafficError("find interface '\(interface)'", errno: errno) }
        let descriptor = try openSocket(AF_PACKET, SOCK_RAW)
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_protocol = UInt16(ETH_P_ALL).bigEndian
        address.sll_ifindex = Int32(index)
        let bound = withUnsafeBytes(of: &address) { raw in
            bind(descriptor, raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
        }
        guard bound == 0 else { throw TrafficError("bind to interface '\(interface)'", errno: errno) }
        // Room for what arrives while this has to wait for a processor.
        try setOption(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        try setOption(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)
        return descriptor
    }

    private func complain(_ interface: String, _ what: String) {
        FileHandle.standardOutput.write(Data("\(interface) \(what)\n".utf8))
    }

    /// Frames that the socket had no room for since this was last asked (PACKET_STATISTICS).
    private func dropped(_ descriptor: Int32) -> UInt32 {
        var statistics = tpacket_stats()
        var length = socklen_t(MemoryLayout<tpacket_stats>.size)
        getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &length)
        return statistics.tp_drops
    }

    /// A frame that came in, and not one that we sent; nil when there are no more.
    private func receive(_ descriptor: Int32, _ buffer: inout [UInt8]) -> [UInt8]? {
        while true {
            var address = sockaddr_ll()
            var length = socklen_t(MemoryLayout<sockaddr_ll>.size)
            let count = withUnsafeMutableBytes(of: &address) { raw in
                recvfrom(
                    descriptor, &buffer, buffer.count, 0, raw.baseAddress!.assumingMemoryBound(to: sockaddr.self),
                    &length)
            }
            guard count > 0 else { return nil }
            if address.sll_pkttype != UInt8(PACKET_OUTGOING) { return Array(buffer[..<count]) }
        }
    }
}
