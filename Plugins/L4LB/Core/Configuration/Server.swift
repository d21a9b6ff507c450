// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// A machine that packets are sent to.
public struct Server: Codable, Sendable, Equatable {
    /// What becomes of its flows: `enum l4lb_state`, in its order.
    public enum State: String, Codable, Sendable, CaseIterable {
        /// Takes new ones.
        case active
        /// The same, and of UDP asks whoever had its entries before it.
        case filling
        /// Takes no new ones, keeps those it has.
        case draining
        /// Gets no packets.
        case down
    }

    /// By which it is ranked: another name is another server.
    public var name: String
    /// What packets name it by, 1 to 4095; made of the name unless given. The same on all machines, whatever comes and goes.
    public var number: Int
    /// The outer destination.
    public var address: IPAddress
    /// For pools that rewrite the Ethernet address.
    public var mac: MACAddress?
    /// Its share of a pool, beside those of the others; 0 for none.
    public var weight: Int
    /// What it is until an operator or a check says something else.
    public var state: State

    public static let standardWeight = 100

    public init(
        name: String, number: Int? = nil, address: IPAddress, mac: MACAddress? = nil, weight: Int = standardWeight,
        state: State = .active
    ) {
        self.name = name
        self.number = number ?? Self.number(of: name)
        self.address = address
        self.mac = mac
        self.weight = weight
        self.state = state
    }

    private enum CodingKeys: String, CodingKey {
        case name, address, mac, weight, state
        case number = "id"
    }

    /// The one it has unless the configuration gives it another.
    static func number(of name: String) -> Int { 1 + Int(nameHash(name) % UInt64(Configuration.maximumServers)) }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        number = try container.decodeIfPresent(Int.self, forKey: .number) ?? Self.number(of: name)
        address = try container.decode(Address.self, forKey: .address).address
        weight = try container.decodeIfPresent(Int.self, forKey: .weight) ?? Self.standardWeight
        state = try container.decodeIfPresent(State.self, forKey: .state) ?? .active
        guard let text = try container.decodeIfPresent(String.self, forKey: .mac) else { return }
        mac = MACAddress(text)
        guard mac != nil else {
            throw StageError("\"\(text)\": expected an Ethernet address such as 02:00:5e:10:00:01", at: "mac")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(number, forKey: .number)
        try container.encode(address.description, forKey: .address)
        try container.encodeIfPresent(mac?.text, forKey: .mac)
        try container.encode(weight, forKey: .weight)
        try container.encode(state, forKey: .state)
    }
}
