// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// How it is found out whether a pool's servers are up.
public struct HealthCheck: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// A connection.
        case tcp
        /// A GET.
        case http
        /// The same over TLS, whatever certificate the server has.
        case https
        /// A query.
        case dns

        var isHTTP: Bool { self == .http || self == .https }
    }

    public enum Destination: String, Codable, Sendable, CaseIterable {
        /// The server's own address.
        case server
        /// The VIP, through the tunnel to the very server: what clients' packets go through. Of ``Kind/dns`` always.
        case vip
    }

    public var kind: Kind
    public var to: Destination
    public var port: UInt16
    /// Of ``Kind/http`` and ``Kind/https``.
    public var path: String
    /// What the Host header says; the address that is asked unless given.
    public var host: String?
    public var status: ClosedRange<Int>
    /// The name whose address ``Kind/dns`` asks for.
    public var query: String
    /// From the begin of one check to the next one's.
    public var interval: Interval
    public var timeout: Interval
    /// So many in a row make a server up, or down.
    public var rise: Int
    public var fall: Int
    /// The share of an interval, in percent, by which it varies: checks of many machines do not come at once.
    public var jitter: Int
    /// A server that goes down again within this time of its coming up must then be well for twice as long, up to this.
    public var dampening: Interval

    public init(_ kind: Kind, port: UInt16) {
        self.kind = kind
        to = kind == .dns ? .vip : .server
        self.port = port
        path = "/"
        status = 200...399
        query = "."
        interval = Interval(milliseconds: 2000)
        timeout = Interval(milliseconds: 1000)
        rise = 2
        fall = 3
        jitter = 10
        dampening = Interval(milliseconds: 60_000)
    }

    private enum CodingKeys: String, CodingKey {
        case kind = "type"
        case to, port, path, host, status, query, interval, timeout, rise, fall, jitter, dampening
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try container.decode(Kind.self, forKey: .kind), port: try container.decode(UInt16.self, forKey: .port))
        to = try container.decodeIfPresent(Destination.self, forKey: .to) ?? to
        path = try container.decodeIfPresent(String.self, forKey: .path) ?? path
        host = try container.decodeIfPresent(String.self, forKey: .host)
        status = try container.decodeIfPresent(StatusRange.self, forKey: .status)?.range ?? status
        query = try container.decodeIfPresent(String.self, forKey: .query) ?? query
        interval = try container.decodeIfPresent(Interval.self, forKey: .interval) ?? interval
        timeout = try container.decodeIfPresent(Interval.self, forKey: .timeout) ?? timeout
        rise = try container.decodeIfPresent(Int.self, forKey: .rise) ?? rise
        fall = try container.decodeIfPresent(Int.self, forKey: .fall) ?? fall
        jitter = try container.decodeIfPresent(Int.self, forKey: .jitter) ?? jitter
        dampening = try container.decodeIfPresent(Interval.self, forKey: .dampening) ?? dampening
        for key in [CodingKeys.path, .host, .status] where container.contains(key) && !kind.isHTTP {
            throw StageError("is of a check of type http or https only", at: key.rawValue)
        }
        guard kind == .dns || !container.contains(.query) else {
            throw StageError("is of a check of type dns only", at: CodingKeys.query.rawValue)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .kind)
        try container.encode(to, forKey: .to)
        try container.encode(port, forKey: .port)
        if kind.isHTTP {
            try container.encode(path, forKey: .path)
            try container.encodeIfPresent(host, forKey: .host)
            try container.encode(StatusRange(range: status), forKey: .status)
        }
        if kind == .dns { try container.encode(query, forKey: .query) }
        try container.encode(interval, forKey: .interval)
        try container.encode(timeout, forKey: .timeout)
        try container.encode(rise, forKey: .rise)
        try container.encode(fall, forKey: .fall)
        try container.encode(jitter, forKey: .jitter)
        try container.encode(dampening, forKey: .dampening)
    }
}

/// The statuses that are well: `200`, `200-399`.
private struct StatusRange: Codable {
    let range: ClosedRange<Int>

    init(range: ClosedRange<Int>) { self.range = range }

    init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
        guard let first = ends[0], let last = ends[ends.count - 1], (100...599).contains(first), first <= last,
            last <= 599
        else { throw StageError("\"\(text)\": expected a status of 100 to 599, or a range such as 200-399") }
        range = first...last
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode("\(range.lowerBound)-\(range.upperBound)")
    }
}

/// How long something takes: `500ms`, `2s` or `1m`; a number alone is of seconds.
public struct Interval: Codable, Sendable, Hashable, CustomStringConvertible {
    public let milliseconds: Int

    private static let units: [(name: String, milliseconds: Int)] = [("ms", 1), ("s", 1000), ("m", 60_000)]

    public init(milliseconds: Int) {
        self.milliseconds = milliseconds
    }

    public init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        let named = Self.units.first { text.hasSuffix($0.name) }
        let digits = text.dropLast(named?.name.count ?? 0)
        let unit = named?.milliseconds ?? 1000
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let count = Int(digits), count <= 86_400_000 / unit
        else { throw StageError("\"\(text)\": expected a time such as 500ms, 2s or 1m, of a day at most") }
        milliseconds = count * unit
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var duration: Duration { .milliseconds(milliseconds) }

    public var description: String {
        let unit = Self.units.last { milliseconds.isMultiple(of: $0.milliseconds) && milliseconds > 0 } ?? ("ms", 1)
        return "\(milliseconds / unit.milliseconds)\(unit.name)"
    }
}

extension HealthCheck {
    /// - Throws: ``StageError`` for what cannot work.
    func check(in pool: Pool, of configuration: Configuration, at path: String) throws(StageError) {
        guard port > 0 else { throw StageError("0: expected a port of 1 to 65535", at: "\(path).port") }
        guard (100...3_600_000).contains(interval.milliseconds) else {
            throw StageError("\(interval): expected 100ms to 60m", at: "\(path).interval")
        }
        guard (10...interval.milliseconds).contains(timeout.milliseconds) else {
            throw StageError("\(timeout): expected 10ms to the interval, \(interval)", at: "\(path).timeout")
        }
        for (key, number) in [("rise", rise), ("fall", fall)] where !(1...100).contains(number) {
            throw StageError("\(number): expected 1 to 100", at: "\(path).\(key)")
        }
        guard (0...50).contains(jitter) else {
            throw StageError("\(jitter): expected a percentage of 0 to 50", at: "\(path).jitter")
        }
        guard self.path.utf8.count <= 4096, self.path.hasPrefix("/"), self.path.isHeaderText else {
            throw StageError("expected a path such as /health, without spaces", at: "\(path).path")
        }
        guard host?.isHeaderText ?? true, host != "" else {
            throw StageError("expected a name such as www.example.org", at: "\(path).host")
        }
        guard kind != .dns || DNSQuery.isName(query) else {
            throw StageError(
                "\"\(query)\": expected a name such as www.example.org, of labels of 1 to 63 characters",
                at: "\(path).query")
        }
        guard kind != .dns || to == .vip else {
            throw StageError("of type dns goes through the tunnel to a VIP", at: "\(path).to")
        }
        if to == .vip { try checkTunnel(in: pool, of: configuration, at: path) }
    }

    private func checkTunnel(in pool: Pool, of configuration: Configuration, at path: String) throws(StageError) {
        guard pool.encapsulation == .gue else {
            throw StageError("to a VIP goes through the tunnel, so the pool's encapsulation must be gue", at: path)
        }
        guard let vip = vip(of: pool, in: configuration) else {
            let family = kind == .dns ? "" : " of its servers' family of addresses"
            throw StageError(
                "goes to a VIP: no service of pool \"\(pool.name)\" is for \(transport.rawValue), port \(port), on a VIP"
                    + family, at: path)
        }
        guard configuration.director.source(for: vip) != nil else {
            throw StageError(
                "asks \(vip) and needs a `director.source-\(vip.isIPv4 ? "v4" : "v6")` to ask from", at: path)
        }
    }

    private var transport: Service.Transport { kind == .dns ? .udp : .tcp }

    /// The VIP that is asked through the tunnel. A TCP check's is of its servers' family, as its socket is connected to
    /// the server's own address.
    func vip(of pool: Pool, in configuration: Configuration) -> IPAddress? {
        let isIPv4 = configuration.servers.first { $0.name == pool.servers.first }?.address.isIPv4
        return configuration.services.first {
            $0.pool == pool.name && $0.protocol == transport && $0.ports.contains(port)
                && (kind == .dns || $0.vip.isIPv4 == isIPv4)
        }?.vip.address
    }
}

extension String {
    /// Whether it can stand in a line of HTTP as it is.
    fileprivate var isHeaderText: Bool { utf8.allSatisfy { (0x21...0x7e).contains($0) } }
}
