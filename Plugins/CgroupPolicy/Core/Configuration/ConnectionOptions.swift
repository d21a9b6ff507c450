// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Options of all TCP connections of a service, those it makes and those it accepts.
public struct ConnectionOptions: Codable, Sendable, Equatable {
    /// Segments that may be sent before the first is acknowledged.
    public var initialWindow: Int?
    /// Segments that the other end is offered at first.
    public var receiveWindow: Int?
    /// The name of a congestion control, as in `net.ipv4.tcp_available_congestion_control`.
    public var congestion: String?
    public var keepalive: Keepalive?
    /// Of unacknowledged data, in milliseconds.
    public var userTimeout: Int?
    /// Of IPv4's ToS and IPv6's traffic class, 0 to 255.
    public var tos: Int?
    public var priority: Int?
    public var mark: Int?
    /// Bytes not sent yet, above which a socket is not writable.
    public var unsentLowAt: Int?
    /// Bytes a second.
    public var maximumPacingRate: Int?
    public var noDelay: Bool?

    public init() {}

    private enum CodingKeys: String, CodingKey {
        case congestion, keepalive, tos, priority, mark
        case initialWindow = "initial-window"
        case receiveWindow = "receive-window"
        case userTimeout = "user-timeout"
        case unsentLowAt = "unsent-low-at"
        case maximumPacingRate = "max-pacing-rate"
        case noDelay = "no-delay"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func number(_ key: CodingKeys, _ range: ClosedRange<Int>) throws -> Int? {
            guard let number = try container.decodeIfPresent(Int.self, forKey: key) else { return nil }
            guard range.contains(number) else {
                throw StageError("\(number): expected \(range.lowerBound) to \(range.upperBound)", at: key.rawValue)
            }
            return number
        }
        initialWindow = try number(.initialWindow, 1...1024)
        receiveWindow = try number(.receiveWindow, 2...1024)
        userTimeout = try number(.userTimeout, 1...86_400_000)
        tos = try number(.tos, 0...255)
        priority = try number(.priority, 0...0x7fff_ffff)
        mark = try number(.mark, 0...0x7fff_ffff)
        unsentLowAt = try number(.unsentLowAt, 1...0x7fff_ffff)
        maximumPacingRate = try number(.maximumPacingRate, 1...0x7fff_ffff)
        keepalive = try container.decodeIfPresent(Keepalive.self, forKey: .keepalive)
        noDelay = try container.decodeIfPresent(Bool.self, forKey: .noDelay)
        congestion = try container.decodeIfPresent(String.self, forKey: .congestion)
        if let congestion {
            let isName = congestion.utf8.allSatisfy { $0 > 32 && $0 < 127 }
            guard (1...15).contains(congestion.utf8.count), isName else {
                throw StageError(
                    "\"\(congestion)\": expected a name of 1 to 15 characters, such as bbr", at: "congestion")
            }
        }
    }

    /// What the kernel is told, each with the moments it is told at.
    var settings: [Setting] {
        var all: [Setting] = []
        func add(_ name: String, _ level: Int32, _ number: Int32, _ value: Int?, _ when: UInt32 = Setting.early) {
            if let value { all.append(Setting(name, level, number, Int32(value), when)) }
        }
        // Of the window the kernel makes up its mind when the connection is there.
        add("initial-window", Setting.tcp, 1001, initialWindow, Setting.established)
        if let keepalive {
            add("keepalive", Setting.socket, 9, 1)
            add("keepalive.idle", Setting.tcp, 4, keepalive.idle)
            add("keepalive.interval", Setting.tcp, 5, keepalive.interval)
            add("keepalive.count", Setting.tcp, 6, keepalive.count)
        }
        add("user-timeout", Setting.tcp, 18, userTimeout)
        if let tos {
            all.append(Setting("tos of IPv4", 0, 1, Int32(tos), Setting.early, family: 2))
            all.append(Setting("tos of IPv6", 41, 67, Int32(tos), Setting.early, family: 10))
        }
        add("priority", Setting.socket, 12, priority)
        add("mark", Setting.socket, 36, mark)
        add("unsent-low-at", Setting.tcp, 25, unsentLowAt)
        add("max-pacing-rate", Setting.socket, 47, maximumPacingRate)
        add("no-delay", Setting.tcp, 1, noDelay.map { $0 ? 1 : 0 })
        return all
    }

    var labels: [String] { settings.map(\.label) + ["congestion", "receive-window"] }

    struct Setting {
        static let socket: Int32 = 1
        static let tcp: Int32 = 6
        /// Before the SYN of a connection it makes, and when one it accepted is there (`BPF_SOCK_OPS_*_CB`).
        static let early: UInt32 = 1 << 3 | 1 << 5
        static let established: UInt32 = 1 << 4 | 1 << 5
        /// As many as the program takes.
        static let maximum = 16

        var label: String
        var level: Int32
        var name: Int32
        var value: Int32
        var when: UInt32
        var family: UInt32

        init(
            _ label: String, _ level: Int32, _ name: Int32, _ value: Int32, _ when: UInt32, family: UInt32 = 0
        ) {
            (self.label, self.level, self.name, self.value, self.when) = (label, level, name, value, when)
            self.family = family
        }
    }
}

/// Probes of idle connections; in seconds.
public struct Keepalive: Codable, Sendable, Equatable {
    public var idle: Int
    public var interval: Int
    /// How many may go unanswered.
    public var count: Int

    public init(idle: Int, interval: Int = 75, count: Int = 9) {
        self.idle = idle
        self.interval = interval
        self.count = count
    }

    private enum CodingKeys: CodingKey {
        case idle, interval, count
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            idle: try container.decode(Int.self, forKey: .idle),
            interval: try container.decodeIfPresent(Int.self, forKey: .interval) ?? 75,
            count: try container.decodeIfPresent(Int.self, forKey: .count) ?? 9)
        for (key, value, most) in [("idle", idle, 32767), ("interval", interval, 32767), ("count", count, 127)]
        where !(1...most).contains(value) {
            throw StageError("\(value): expected 1 to \(most)", at: key)
        }
    }
}
