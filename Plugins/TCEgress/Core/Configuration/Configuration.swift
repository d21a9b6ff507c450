// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What an operator writes under `config:`.
public struct Configuration: Codable, Sendable, Equatable {
    /// What a packet begins with.
    public enum Link: String, Codable, Sendable, CaseIterable {
        case ethernet
        /// Of tunnels, which have no link header.
        case ip
    }

    /// What a packet's length is that a device is yet to cut into segments.
    public enum Lengths: String, Codable, Sendable, CaseIterable {
        /// All segments, each with its headers.
        case wire
        /// As it is handed to the device.
        case driver
    }

    /// Prefixes that nothing is sent to, or taken from, and why.
    public struct Block: Codable, Sendable, Equatable {
        public var prefixes: [IPPrefix]
        public var reason: String

        public init(_ prefixes: [IPPrefix], reason: String) {
            self.prefixes = prefixes
            self.reason = reason
        }

        private enum CodingKeys: String, CodingKey { case prefix, reason }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            prefixes = try container.decode(OneOrMore<IPPrefix>.self, forKey: .prefix).values
            reason = try container.decode(String.self, forKey: .reason)
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(prefixes, forKey: .prefix)
            try container.encode(reason, forKey: .reason)
        }
    }

    public var link = Link.ethernet
    public var lengths = Lengths.wire
    /// The only sources that may leave; empty for all.
    public var sourceGuard: [IPPrefix] = []
    /// Prefixes of the other side that are neither blocked nor limited.
    public var allow: [IPPrefix] = []
    public var block: [Block] = []
    /// What is never limited.
    public var control: [ControlTraffic] = []
    /// How long a paced packet waits at most; one that would wait for longer is dropped.
    public var horizon = Horizon(milliseconds: 2000)
    /// In order; a packet is of the first that it matches.
    public var classes: [TrafficClass] = []
    /// Of packets that are in no class, and of those that are dropped before their class is known.
    public var sample: SampleRate?

    public init() {}

    private enum CodingKeys: String, CodingKey {
        case link, lengths, allow, block, control, horizon, classes, sample
        case sourceGuard = "source-guard"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        link = try container.decodeIfPresent(Link.self, forKey: .link) ?? link
        lengths = try container.decodeIfPresent(Lengths.self, forKey: .lengths) ?? lengths
        if let prefixes = try container.decodeIfPresent([IPPrefix].self, forKey: .sourceGuard) {
            guard !prefixes.isEmpty else {
                throw StageError(
                    "the list is empty, so nothing could leave; leave it out for no guard", at: "source-guard")
            }
            sourceGuard = prefixes
        }
        allow = try container.decodeIfPresent([IPPrefix].self, forKey: .allow) ?? []
        block = try container.decodeIfPresent([Block].self, forKey: .block) ?? []
        control = try container.decodeIfPresent([ControlTraffic].self, forKey: .control) ?? []
        horizon = try container.decodeIfPresent(Horizon.self, forKey: .horizon) ?? horizon
        classes = try container.decodeIfPresent([TrafficClass].self, forKey: .classes) ?? []
        sample = try container.decodeIfPresent(SampleRate.self, forKey: .sample)
    }

    /// The reasons of blocks, each once, in order.
    public var blockReasons: [String] {
        var seen: Set<String> = []
        return block.map(\.reason).filter { seen.insert($0).inserted }
    }
}
