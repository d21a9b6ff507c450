// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Glibc
import StageKit

/// Datagrams to one address after the other, so many a second, and what comes back of them.
struct Datagrams: ParsableCommand {
    @Option(help: "Where to: the first address, as in 10.50.0.0:53.") var to: Endpoint
    @Option(help: "How many addresses there are from that on.") var addresses = 1
    @Option(help: "Datagrams a second.") var rate: Int
    @Option(help: "To each address.") var rounds: Int?
    @Option(help: "For how long, in place of rounds.") var seconds: Int?
    @Option(help: "Bytes each, or several numbers in turn.") var payload: [Int] = [32]
    @Option(help: "Ask a DNS server for the TXT of this name instead, and wait for its answers.") var query: String?
    @Option(
        help: "As from 8,192 strangers of the 65,536 addresses from this on. Needs CAP_NET_RAW.", transform: address)
    var from: IPAddress?
    @Flag(help: "With extension headers before them, of IPv6. As from --from.") var extensions = false
    @Option(help: "So many in one call, of the same size (UDP_SEGMENT).") var train = 1

    private static let strangers = 8192

    private static func address(_ text: String) throws -> IPAddress {
        guard let address = IPAddress(text) else { throw ValidationError("'\(text)' is no address") }
        return address
    }

    func run() throws {
        let isIPv4 = to.address.isIPv4
        let family = isIPv4 ? AF_INET : AF_INET6
        let socket =
            try from == nil
            ? openSocket(family, SOCK_DGRAM) : openSocket(family, SOCK_RAW, protocol: Int32(IPPROTO_RAW))
        try? setOption(socket, SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        try? setOption(socket, SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20)
        if train > 1 { try setOption(socket, Int32(IPPROTO_UDP), 103, Int32(payload[0])) }
        // To one address always the same, which are made once.
        let ready =
            addresses == 1
            ? (0..<(from == nil ? payload.count : Self.strangers)).map { packet($0 * train, to: to.address) } : []
        var answers = Answers(addresses: addresses)
        let start = now(), all = rounds.map { $0 * addresses } ?? rate * (seconds ?? 1)
        var (sent, refused) = (0, 0)
        while sent < all {
            let due = min(all, (now() - start) * rate / 1000)
            while sent < due {
                let index = sent % addresses
                let target = Endpoint(address: to.address.advanced(by: index), port: from == nil ? to.port : 0)
                let packet = ready.isEmpty ? packet(sent, to: target.address) : ready[sent / train % ready.count]
                let count = target.withSocketAddress { sendto(socket, packet, packet.count, 0, $0, $1) }
                refused += count < 0 ? 1 : 0
                sent += train
                if query != nil, sent % 32 == 0 { answers.read(socket) }
            }
            answers.read(socket)
            usleep(2000)
        }
        let took = now() - start
        // The last answers, and none for a second.
        while query != nil, answers.isComing(on: socket, within: 1000) { answers.read(socket) }
        print(
            #"{"sent":\#(sent - refused),"refused":\#(refused),"ms":\#(took),"answers":\#(answers.count),"#
                + #""least":\#(answers.least),"most":\#(answers.most)}"#)
    }

    private func packet(_ number: Int, to destination: IPAddress) -> [UInt8] {
        let bytes =
            query.map { Self.question($0, UInt16(truncatingIfNeeded: number % addresses)) }
            ?? [UInt8](repeating: 0x2e, count: payload[number / train % payload.count] * train)
        guard let from else { return bytes }
        let source = from.advanced(by: (number % Self.strangers &* 40_503) & 0xffff)
        var layers: [PacketLayer] = [
            source.isIPv4 ? .ipv4(from: source, to: destination) : .ipv6(from: source, to: destination)
        ]
        if extensions { layers += [.extensionHeader(60), .fragmentHeader(offset: 0, more: false)] }
        return Packet.bytes(layers + [.udp(from: 4000, to: to.port), .payload(bytes)])
    }

    /// A query for a TXT record.
    private static func question(_ name: String, _ id: UInt16) -> [UInt8] {
        var bytes = [UInt8(id >> 8), UInt8(truncatingIfNeeded: id), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + label.utf8 }
        return bytes + [0, 0, 16, 0, 1]
    }
}

/// Answers of a DNS server, by the number of the address that was asked.
private struct Answers {
    private var counts: [Int]
    private(set) var count = 0
    private var buffer = [UInt8](repeating: 0, count: 2048)

    init(addresses: Int) { counts = [Int](repeating: 0, count: min(addresses, 65536)) }

    var least: Int { counts.min() ?? 0 }
    var most: Int { counts.max() ?? 0 }

    mutating func read(_ socket: Int32) {
        while true {
            let length = recv(socket, &buffer, buffer.count, 0)
            guard length >= 12 else { return }
            // An answer without an error.
            guard buffer[2] & 0x80 != 0, buffer[3] & 15 == 0, Int(buffer[6]) << 8 | Int(buffer[7]) > 0 else { continue }
            count += 1
            counts[(Int(buffer[0]) << 8 | Int(buffer[1])) % counts.count] += 1
        }
    }

    func isComing(on socket: Int32, within milliseconds: Int) -> Bool {
        var polls = [pollfd(fd: socket, events: Int16(POLLIN), revents: 0)]
        wait(for: &polls, at: milliseconds)
        return polls[0].revents != 0
    }
}

extension IPAddress {
    /// So many addresses further on, within the last 32 bits.
    func advanced(by count: Int) -> IPAddress {
        var bytes = bytes
        let last = bytes.suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) } &+ UInt32(truncatingIfNeeded: count)
        for index in 0..<4 { bytes[bytes.count - 1 - index] = UInt8(truncatingIfNeeded: last >> UInt32(8 * index)) }
        return IPAddress(bytes: bytes)
    }

    /// How many addresses it is from another one, within the last 32 bits.
    func distance(from other: IPAddress) -> Int {
        func last(_ address: IPAddress) -> Int { address.bytes.suffix(4).reduce(0) { $0 << 8 | Int($1) } }
        return last(self) - last(other)
    }
}
