// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import BPF
import Foundation
import Glibc
import StageKit

/// One socket for all addresses, of both families: takes datagrams in until SIGTERM, then tells to whom they came.
struct Sink: ParsableCommand {
    @Option var port: UInt16
    @Option(help: "The first address that is counted for itself, of each family.", transform: address)
    var first: [IPAddress]
    @Option(help: "How many addresses there are from that on.") var addresses = 1
    @Option(help: "Of these, those that are told apart from all others, by their number.") var watch: [Int] = []
    @Option(help: "The folder of a cgroup to be in.") var cgroup: String?
    @Option(help: "A pinned program, as the socket's filter.") var filter: String?
    @Flag(help: "Takes trains of datagrams in one piece (UDP_GRO).") var gro = false

    private static func address(_ text: String) throws -> IPAddress {
        guard let address = IPAddress(text) else { throw ValidationError("'\(text)' is no address") }
        return address
    }

    func run() throws {
        // A socket is of the cgroup that its process is in when it is made.
        if let cgroup { try "\(getpid())".write(toFile: "\(cgroup)/cgroup.procs", atomically: false, encoding: .utf8) }
        signal(SIGTERM) { _ in isStopping = 1 }
        let socket = try DatagramSink(port: port, takesTrains: gro)
        if let filter { try socket.filter(by: filter) }
        var tally = Tally(first: first, addresses: addresses, watched: Set(watch))
        // Says that it is there.
        FileHandle.standardError.write(Data("ready\n".utf8))
        while isStopping == 0 || socket.isComing(within: 100) {
            guard socket.isComing(within: 100) else { continue }
            while let datagram = socket.receive() { tally.count(datagram) }
        }
        tally.drops = try socket.drops()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try FileHandle.standardOutput.write(contentsOf: encoder.encode(tally) + [UInt8(ascii: "\n")])
    }
}

/// Set by a signal.
nonisolated(unsafe) private var isStopping: sig_atomic_t = 0

/// What came, as a line of JSON.
private struct Tally: Encodable {
    var received = 0
    /// Of the socket (`sk_drops`), whoever dropped them.
    var drops = 0
    /// How many came of each length, and with each mark.
    var lengths: [Int: Int] = [:]
    var marks: [UInt32: Int] = [:]
    /// To how many addresses so many came, but for those that are watched.
    var histogram: [Int: Int] { counts.reduce(into: [:]) { $0[$1, default: 0] += 1 } }
    var watched: [Int: Int]

    private let first: [IPAddress]
    private var counts: [Int]
    private var places: [Int]
    private let addresses: Int

    init(first: [IPAddress], addresses: Int, watched: Set<Int>) {
        self.first = first
        self.addresses = addresses
        self.watched = Dictionary(uniqueKeysWithValues: watched.map { ($0, 0) })
        // Of one number the addresses of both families are two.
        counts = [Int](repeating: 0, count: first.count * addresses - watched.count * first.count)
        var next = 0
        places = (0..<first.count * addresses).map { index in
            guard !watched.contains(index % addresses) else { return -1 }
            defer { next += 1 }
            return next
        }
    }

    mutating func count(_ datagram: Datagram) {
        received += datagram.count
        lengths[datagram.length, default: 0] += datagram.count
        marks[datagram.mark, default: 0] += datagram.count
        for (family, start) in first.enumerated() where start.isIPv4 == datagram.destination.isIPv4 {
            let number = datagram.destination.distance(from: start)
            guard 0..<addresses ~= number else { continue }
            let place = places[family * addresses + number]
            if place < 0 { watched[number]! += datagram.count } else { counts[place] += datagram.count }
        }
    }

    private enum CodingKeys: CodingKey {
        case received, drops, lengths, marks, histogram, watched
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        func named<K, V>(_ values: [K: V]) -> [String: V] {
            Dictionary(uniqueKeysWithValues: values.map { ("\($0)", $1) })
        }
        try container.encode(received, forKey: .received)
        try container.encode(drops, forKey: .drops)
        try container.encode(named(lengths), forKey: .lengths)
        try container.encode(named(marks), forKey: .marks)
        try container.encode(named(histogram), forKey: .histogram)
        try container.encode(named(watched), forKey: .watched)
    }
}

/// A datagram that came, or a train of them.
private struct Datagram {
    var destination: IPAddress
    /// Of one.
    var length: Int
    var count: Int
    var mark: UInt32
}

/// The socket.
private final class DatagramSink {
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var control = [UInt8](repeating: 0, count: 512)
    private var name = [UInt8](repeating: 0, count: 128)

    init(port: UInt16, takesTrains: Bool) throws {
        descriptor = try openSocket(AF_INET6, SOCK_DGRAM)
        try setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0)
        try setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_RECVPKTINFO, 1)
        try setOption(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        // SO_RCVMARK, from Linux 5.19 on.
        try setOption(descriptor, SOL_SOCKET, 75, 1)
        // UDP_GRO.
        if takesTrains { try setOption(descriptor, Int32(IPPROTO_UDP), 104, 1) }
        guard Endpoint(address: "::", port: port).withSocketAddress({ bind(descriptor, $0, $1) }) == 0 else {
            throw TrafficError("bind to port \(port)", errno: errno)
        }
    }

    func filter(by pin: String) throws {
        let program = try BPFProgram.pinned(at: pin)
        // SO_ATTACH_BPF
        try setOption(descriptor, SOL_SOCKET, 50, program.fd.raw)
    }

    func isComing(within milliseconds: Int) -> Bool {
        var polls = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
        wait(for: &polls, at: milliseconds)
        return polls[0].revents & Int16(POLLIN) != 0
    }

    /// Nil when there is none.
    func receive() -> Datagram? {
        let (length, controlLength) = buffer.withUnsafeMutableBytes { buffer in
            control.withUnsafeMutableBytes { control in
                name.withUnsafeMutableBytes { name in
                    var piece = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
                    return withUnsafeMutablePointer(to: &piece) { piece in
                        var message = msghdr()
                        message.msg_name = name.baseAddress
                        message.msg_namelen = socklen_t(name.count)
                        message.msg_iov = piece
                        message.msg_iovlen = 1
                        message.msg_control = control.baseAddress
                        message.msg_controllen = control.count
                        let length = recvmsg(descriptor, &message, 0)
                        return (length, length < 0 ? 0 : Int(message.msg_controllen))
                    }
                }
            }
        }
        guard length >= 0 else { return nil }
        var datagram = Datagram(destination: "::", length: length, count: 1, mark: 0)
        let facts = Bytes(Array(control.prefix(controlLength)))
        var offset = 0
        while offset + 16 <= facts.raw.count {
            let size: Int = facts.number(at: offset)
            let (level, type): (Int32, Int32) = (facts.number(at: offset + 8), facts.number(at: offset + 12))
            guard size >= 16, offset + size <= facts.raw.count else { break }
            switch (level, type) {
            case (Int32(IPPROTO_IPV6), IPV6_PKTINFO):
                let address = Array(facts.raw[(offset + 16)..<(offset + 32)])
                let isMapped = address.starts(with: IPAddress(bytes: [0, 0, 0, 0]).mapped.prefix(12))
                datagram.destination = IPAddress(bytes: isMapped ? Array(address.suffix(4)) : address)
            case (SOL_SOCKET, SO_MARK): datagram.mark = facts.number(at: offset + 16)
            case (Int32(IPPROTO_UDP), 104):
                let segment = Int(facts.number(at: offset + 16, as: Int32.self))
                if segment > 0, segment < length {
                    datagram.count = (length + segment - 1) / segment
                    datagram.length = segment
                }
            default: break
            }
            offset += (size + 7) & ~7
        }
        return datagram
    }

    /// Of all that came for the socket.
    func drops() throws -> Int {
        var words = [UInt32](repeating: 0, count: 16)
        var length = socklen_t(words.count * 4)
        // SO_MEMINFO; the ninth word is SK_MEMINFO_DROPS.
        guard getsockopt(descriptor, SOL_SOCKET, 55, &words, &length) == 0, length >= 36 else {
            throw TrafficError("read a socket's drops", errno: errno)
        }
        return Int(words[8])
    }
}
