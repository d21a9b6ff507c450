// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// A destination that stands for another: who connects to `from` gets to `to`.
public struct Rewrite: Codable, Sendable, Equatable {
    public var name: String
    public var from: Endpoint
    public var to: Endpoint
    public var transport: Rule.Transport

    static let maximum = 10_240

    public init(_ name: String = "", from: Endpoint, to: Endpoint, transport: Rule.Transport = .any) {
        self.name = name.isEmpty ? "\(from)" : name
        self.from = from
        self.to = to
        self.transport = transport
    }

    private enum CodingKeys: String, CodingKey {
        case name, from, to
        case transport = "protocol"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try container.decodeIfPresent(String.self, forKey: .name) ?? "",
            from: try container.decode(Endpoint.self, forKey: .from),
            to: try container.decode(Endpoint.self, forKey: .to),
            transport: try container.decodeIfPresent(Rule.Transport.self, forKey: .transport) ?? .any)
        guard name.utf8.count <= 63, name.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value < 127 }) else {
            throw StageError("\"\(name)\": expected at most 63 printable ASCII characters", at: "name")
        }
        guard from.address.isIPv4 == to.address.isIPv4 else {
            throw StageError("\(from) and \(to) are of two families; a connection has one", at: "to")
        }
    }

    static func check(_ rewrites: [Rewrite], at path: String) throws(StageError) {
        guard rewrites.count <= maximum else {
            throw StageError("has \(rewrites.count) of them; at most \(maximum) are possible", at: path)
        }
        var names: Set<String> = []
        var ends: Set<String> = []
        for (index, rewrite) in rewrites.enumerated() {
            for transport in rewrite.transports {
                guard ends.insert("\(rewrite.from) \(transport.rawValue)").inserted else {
                    throw StageError(
                        "\(rewrite.from) (\(transport.rawValue)) is rewritten above already",
                        at: "\(path)[\(index)].from")
                }
            }
            guard names.insert(rewrite.name).inserted else {
                throw StageError(
                    "\"\(rewrite.name)\" is the name of another one; give one of them a `name`",
                    at: "\(path)[\(index)].name")
            }
        }
    }

    var transports: [Rule.Transport] { transport == .any ? [.tcp, .udp] : [transport] }
}

/// An address and a port: `192.0.2.1:80`, `[2001:db8::1]:80`.
public struct Endpoint: Codable, Sendable, Hashable, CustomStringConvertible {
    public var address: IPAddress
    public var port: UInt16

    init(_ address: IPAddress, _ port: UInt16) {
        (self.address, self.port) = (address, port)
    }

    /// - Throws: ``StageError`` when `text` is none.
    public init(_ text: String) throws(StageError) {
        let wrong = StageError("\"\(text)\": expected an address and a port such as 192.0.2.1:80 or [2001:db8::1]:80")
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { throw wrong }
        let host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        guard let address = IPAddress(String(isBracketed ? host.dropFirst().dropLast() : host)),
            address.isIPv4 != isBracketed
        else { throw wrong }
        self.address = address
        self.port = port
    }

    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }
}
