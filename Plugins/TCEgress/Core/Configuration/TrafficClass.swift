// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What a packet must be like; what is empty asks for nothing.
public struct Conditions: Sendable, Hashable {
    /// One of each list is enough.
    public var source: [IPPrefix] = []
    public var destination: [IPPrefix] = []
    public var protocols: [IPProtocol] = []
    public var sourcePort: Ports?
    public var destinationPort: Ports?
    public var marks: [Mark] = []
    /// Paths below the mount of cgroup2, or units; a socket of a cgroup further down counts.
    public var cgroups: [String] = []

    public init() {}
}

/// What is changed in the packets of a class.
public struct Rewriting: Codable, Sendable, Hashable {
    public var dscp: CodePoint?
    public var mark: Mark?
    /// The largest segment that a TCP SYN may ask for, in bytes.
    public var mss: Int?

    static let segments = 88...65_495

    public init(dscp: CodePoint? = nil, mark: Mark? = nil, mss: Int? = nil) {
        self.dscp = dscp
        self.mark = mark
        self.mss = mss
    }

    private enum CodingKeys: String, CodingKey { case dscp, mark, mss }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        dscp = try container.decodeIfPresent(CodePoint.self, forKey: .dscp)
        mark = try container.decodeIfPresent(Mark.self, forKey: .mark)
        mss = try container.decodeIfPresent(Int.self, forKey: .mss)
        if let mss, !Self.segments.contains(mss) {
            throw StageError(
                "\(mss): expected \(Self.segments.lowerBound) to \(Self.segments.upperBound) bytes", at: "mss")
        }
    }
}

/// Packets that are counted together, and what is done with them.
public struct TrafficClass: Codable, Sendable, Hashable {
    /// What its counters are called.
    public var name: String
    public var conditions: Conditions
    public var police: Police?
    /// Bits only.
    public var pace: Rate?
    public var set: Rewriting
    public var sample: SampleRate?

    public init(
        _ name: String, police: Police? = nil, pace: Rate? = nil, set: Rewriting = Rewriting(),
        sample: SampleRate? = nil, where conditions: (inout Conditions) -> Void = { _ in }
    ) {
        self.name = name
        self.conditions = Conditions()
        self.police = police
        self.pace = pace
        self.set = set
        self.sample = sample
        conditions(&self.conditions)
    }

    private enum CodingKeys: String, CodingKey {
        case name, source, destination, mark, cgroup, police, pace, set, sample
        case protocols = "protocol"
        case sourcePort = "source-port"
        case destinationPort = "destination-port"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        conditions = Conditions()
        conditions.source = try container.oneOrMore(IPPrefix.self, forKey: .source)
        conditions.destination = try container.oneOrMore(IPPrefix.self, forKey: .destination)
        conditions.protocols = try container.oneOrMore(IPProtocol.self, forKey: .protocols)
        conditions.sourcePort = try container.decodeIfPresent(Ports.self, forKey: .sourcePort)
        conditions.destinationPort = try container.decodeIfPresent(Ports.self, forKey: .destinationPort)
        conditions.marks = try container.oneOrMore(Mark.self, forKey: .mark)
        conditions.cgroups = try container.oneOrMore(String.self, forKey: .cgroup)
        police = try container.decodeIfPresent(Police.self, forKey: .police)
        pace = try container.decodeIfPresent(Rate.self, forKey: .pace)
        set = try container.decodeIfPresent(Rewriting.self, forKey: .set) ?? Rewriting()
        sample = try container.decodeIfPresent(SampleRate.self, forKey: .sample)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        func list(_ values: [some Encodable], _ key: CodingKeys) throws {
            if !values.isEmpty { try container.encode(values, forKey: key) }
        }
        try container.encode(name, forKey: .name)
        try list(conditions.source, .source)
        try list(conditions.destination, .destination)
        try list(conditions.protocols, .protocols)
        try container.encodeIfPresent(conditions.sourcePort, forKey: .sourcePort)
        try container.encodeIfPresent(conditions.destinationPort, forKey: .destinationPort)
        try list(conditions.marks, .mark)
        try list(conditions.cgroups, .cgroup)
        try container.encodeIfPresent(police, forKey: .police)
        try container.encodeIfPresent(pace, forKey: .pace)
        if set != Rewriting() { try container.encode(set, forKey: .set) }
        try container.encodeIfPresent(sample, forKey: .sample)
    }
}
