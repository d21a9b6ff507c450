// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// Rules of one part, in order: the first all of whose conditions hold decides.
public struct Rules: Sendable, Equatable {
    public enum Action: String, Codable, Sendable, CaseIterable {
        case allow, deny
    }

    /// For what no rule is for.
    public var otherwise: Action
    public var rules: [Rule]

    /// Of one part; as many as its counters may have rows.
    static let maximum = 10_240
    static let maximumPrefixes = 65_536

    public init(otherwise: Action, rules: [Rule] = []) {
        self.otherwise = otherwise
        self.rules = rules
    }

    /// Of the counters: the default first, then the rules, by name.
    var labels: [String] { [Self.defaultName] + rules.map(\.name) }

    static let defaultName = "default"
}

/// One rule.
public struct Rule: Sendable, Equatable {
    public enum Transport: String, Codable, Sendable, CaseIterable {
        case tcp, udp, any
    }

    public var name: String
    /// What the address must be in one of; empty for all addresses of both families.
    public var prefixes: [IPPrefix]
    /// That of the other end, or the one to be bound; nil for all, and for what has no ports too.
    public var ports: PortSet?
    /// Of packets, the service's own.
    public var localPorts: PortSet?
    public var transport: Transport
    public var action: Rules.Action

    public init(
        _ name: String, prefixes: [IPPrefix] = [], ports: PortSet? = nil, localPorts: PortSet? = nil,
        transport: Transport = .any, action: Rules.Action
    ) {
        self.name = name
        self.prefixes = prefixes
        self.ports = ports
        self.localPorts = localPorts
        self.transport = transport
        self.action = action
    }
}

/// What the rules of a part call the address, and whether they know two ports.
protocol RuleKind {
    static var address: RuleKey { get }
    static var hasLocalPort: Bool { get }
}

enum OfDestinations: RuleKind {
    static let address = RuleKey.to
    static let hasLocalPort = false
}

enum OfBounds: RuleKind {
    static let address = RuleKey.address
    static let hasLocalPort = false
}

enum OfSources: RuleKind {
    static let address = RuleKey.from
    static let hasLocalPort = true
}

enum OfTargets: RuleKind {
    static let address = RuleKey.to
    static let hasLocalPort = true
}

enum RuleKey: String, CodingKey {
    case name, to, from, address, port, `protocol`, action
    case localPort = "local-port"
}

/// Rules as a configuration has them.
struct RulesReader<Kind: RuleKind>: Codable {
    var rules: Rules

    private enum CodingKeys: String, CodingKey {
        case otherwise = "default"
        case rules
    }

    init(rules: Rules) { self.rules = rules }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let list = try container.decodeIfPresent([RuleReader<Kind>].self, forKey: .rules) ?? []
        guard list.count <= Rules.maximum else {
            throw StageError("has \(list.count) of them; at most \(Rules.maximum) are possible", at: "rules")
        }
        rules = Rules(otherwise: try container.decode(Rules.Action.self, forKey: .otherwise))
        var names: Set = [Rules.defaultName]
        for (index, read) in list.enumerated() {
            var rule = read.rule
            if rule.name.isEmpty { rule.name = "rule \(index + 1)" }
            guard names.insert(rule.name).inserted else {
                let why =
                    rule.name == Rules.defaultName
                    ? "is what the default is called; call the rule otherwise" : "is the name of another rule"
                throw StageError("\"\(rule.name)\" \(why)", at: "rules[\(index)].name")
            }
            rules.rules.append(rule)
        }
        let prefixes = rules.rules.reduce(0) { $0 + $1.prefixes.count }
        guard prefixes <= Rules.maximumPrefixes else {
            throw StageError("have \(prefixes) prefixes; at most \(Rules.maximumPrefixes) are possible", at: "rules")
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(rules.otherwise, forKey: .otherwise)
        try container.encode(rules.rules.map { RuleReader<Kind>(rule: $0) }, forKey: .rules)
    }
}

/// One of them.
private struct RuleReader<Kind: RuleKind>: Codable {
    var rule: Rule

    init(rule: Rule) { self.rule = rule }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: RuleKey.self)
        let name = try container.decodeIfPresent(String.self, forKey: .name)
        if let name, !isRuleName(name) {
            throw StageError("\"\(name)\": expected 1 to 63 letters, digits, spaces and ._-", at: "name")
        }
        rule = Rule(name ?? "", action: try container.decode(Rules.Action.self, forKey: .action))
        rule.prefixes = try container.decodeIfPresent(Prefixes.self, forKey: Kind.address)?.list ?? []
        rule.ports = try container.decodeIfPresent(PortChoice.self, forKey: .port)?.ports
        if Kind.hasLocalPort {
            rule.localPorts = try container.decodeIfPresent(PortChoice.self, forKey: .localPort)?.ports
        }
        rule.transport = try container.decodeIfPresent(Rule.Transport.self, forKey: .protocol) ?? .any
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: RuleKey.self)
        try container.encode(rule.name, forKey: .name)
        if !rule.prefixes.isEmpty { try container.encode(rule.prefixes, forKey: Kind.address) }
        try container.encodeIfPresent(rule.ports?.description, forKey: .port)
        try container.encodeIfPresent(rule.localPorts?.description, forKey: .localPort)
        try container.encode(rule.transport, forKey: .protocol)
        try container.encode(rule.action, forKey: .action)
    }
}

private func isRuleName(_ name: String) -> Bool {
    (1...63).contains(name.utf8.count)
        && name.unicodeScalars.allSatisfy { character in
            switch character {
            case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-", " ": true
            default: false
            }
        }
}

/// A prefix, or a list of them.
private struct Prefixes: Decodable {
    let list: [IPPrefix]

    init(from decoder: any Decoder) throws {
        if var container = try? decoder.unkeyedContainer() {
            var found: [IPPrefix] = []
            while !container.isAtEnd { found.append(try container.decode(IPPrefix.self)) }
            guard !found.isEmpty else { throw StageError("expected a prefix at least; leave it out for all addresses") }
            list = found
        } else {
            list = [try IPPrefix(from: decoder)]
        }
        let mapped = IPPrefix(IPAddress(bytes: [UInt8](repeating: 0, count: 10) + [255, 255, 0, 0, 0, 0]), length: 96)
        if let prefix = list.first(where: { !$0.isIPv4 && $0.length >= 96 && mapped.contains($0.address) }) {
            let address = IPAddress(bytes: Array(prefix.address.bytes.suffix(4)))
            throw StageError("\"\(prefix)\" is of IPv4; write \(address)/\(prefix.length - 96)")
        }
    }
}
