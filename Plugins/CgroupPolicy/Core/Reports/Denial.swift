// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// What the program tells of one denial: a record of the ring buffer.
struct Denial: Sendable {
    /// Who did it: of a call a process, of a packet only whose socket it is.
    enum Origin: Sendable, Hashable {
        case process(id: UInt32, command: String)
        case socket(cookie: UInt64)
    }

    /// What is one and the same, however often it is tried.
    struct Subject: Sendable, Hashable {
        /// Its number; 0 for the default.
        var rule: Int
        var origin: Origin
        var user: UInt32
        var cgroup: UInt64
        /// Nil where there is none yet, of sockets that are made.
        var address: IPAddress?
        var port: UInt16
        var localPort: UInt16
        var `protocol`: UInt16
        /// Whether it failed, or went on as it was only an audit.
        var isEnforced: Bool
        /// Of sockets that are made: family and type.
        var kind: [UInt32] = []
    }

    var subject: Subject
    /// How many of the rule were not told before this one.
    var withheld: Int

    static let size = 80

    /// Nil for what is no record.
    init?(_ record: Bytes, _ part: Part) {
        guard record.raw.count == Self.size else { return nil }
        let command = record.raw[64..<80].prefix { $0 != 0 }.map { byte -> Character in
            // As the process calls itself: anything.
            (32..<127).contains(byte) && byte != UInt8(ascii: "\"") ? Character(UnicodeScalar(byte)) : "?"
        }
        let process: UInt32 = record.number(at: 24)
        let address = Array(record.raw[48..<64])
        let isMapped = address[..<12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]
        subject = Subject(
            rule: Int(record.number(at: 16, as: UInt32.self)),
            origin: part.isOfPackets
                ? .socket(cookie: record.number(at: 8)) : .process(id: process, command: String(command)),
            user: record.number(at: 32), cgroup: record.number(at: 0),
            address: part == .sockCreate ? nil : IPAddress(bytes: isMapped ? Array(address[12...]) : address),
            port: record.number(at: 36), localPort: record.number(at: 38), protocol: record.number(at: 40),
            isEnforced: record.raw[42] != 0)
        if part == .sockCreate { subject.kind = [record.number(at: 48), record.number(at: 52)] }
        withheld = Int(record.number(at: 20, as: UInt32.self))
    }
}

extension Denial.Subject {
    /// `192.0.2.7:443`; of sockets that are made what they would have been.
    var destination: String {
        if let address {
            return `protocol` == 1 || `protocol` == 58 ? "\(address)" : "\(Endpoint(address, port))"
        }
        let family = kind[0] == 2 ? "ipv4" : kind[0] == 10 ? "ipv6" : "family \(kind[0])"
        let type = kind[1] == 1 ? "stream" : kind[1] == 2 ? "datagram" : kind[1] == 3 ? "raw" : "type \(kind[1])"
        return "\(family) \(type)"
    }

    var transport: String { TransportName.of(`protocol`) }

    /// `pid 1234 "curl"`, as far as it is known.
    var who: String {
        switch origin {
        case .process(let id, let command): "pid \(id) \"\(command)\" (uid \(user), cgroup \(cgroup))"
        case .socket(let cookie):
            "a socket of uid \(user) (cookie \(cookie), cgroup \(cgroup)); of a packet no process is known"
        }
    }

    /// The whole, for the events.
    func text(_ part: Part, rule name: String, times: Int, withheld: Int) -> String {
        var text = isEnforced ? "denied " : "audit: would have denied "
        switch part {
        case .sockCreate: text += "a socket (\(destination), \(transport))"
        case .ingress: text += "a packet from \(destination) to port \(localPort) (\(transport))"
        case .egress: text += "a packet from port \(localPort) to \(destination) (\(transport))"
        default: text += "\(part.verb) \(destination) (\(transport))"
        }
        if times > 1 { text += " \(times) times" }
        text += name == Rules.defaultName ? " by default" : " by rule \"\(name)\""
        text += ": \(who)"
        if withheld > 0 { text += "; \(withheld) more by this rule were not told one by one" }
        return text
    }
}

enum TransportName {
    private static let names: [UInt16: String] = [
        1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 136: "udplite", 262: "mptcp",
    ]

    static func of(_ number: UInt16) -> String { names[number] ?? "protocol \(number)" }
}
