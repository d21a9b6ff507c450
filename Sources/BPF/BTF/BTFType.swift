// SPDX-License-Identifier: Apache-2.0

/// A type as an object's BTF describes it, copied out of the object: it outlives it.
public struct BTFType: Sendable, Hashable {
    /// As C names it: `__u32`, `struct flow`, `char[16]`.
    public let name: String
    /// In bytes.
    public let size: Int
    public let kind: Kind

    public init(name: String, size: Int, kind: Kind) {
        self.name = name
        self.size = size
        self.kind = kind
    }

    public indirect enum Kind: Sendable, Hashable {
        case integer(isSigned: Bool)
        /// C's `char`, arrays of which are text.
        case character(isSigned: Bool)
        case boolean
        case enumeration([Enumerator], isSigned: Bool)
        case float
        case pointer
        /// `__be16`, `__be32`, `__be64`: in network byte order in memory, told as the number it means.
        case bigEndian
        /// `struct in_addr` or `struct in6_addr`: told as the address it means.
        case address
        case array(BTFType, count: Int)
        case composite([Member], isUnion: Bool)
        /// What has no BTF, or none that can be told: bytes, in hexadecimal.
        case opaque
    }

    public struct Enumerator: Sendable, Hashable {
        public let name: String
        /// The value's low bits, as many as the type has.
        public let pattern: UInt64
    }

    public struct Member: Sendable, Hashable {
        /// Empty for an anonymous struct or union, whose members are told as if they were of the one around it.
        public let name: String
        public let type: BTFType
        /// From the start of the composite.
        public let bitOffset: Int
        /// The width of a bit field; 0 for a whole member.
        public let bits: Int
    }

    /// Bytes of which nothing is known.
    public static func opaque(_ size: Int) -> BTFType {
        BTFType(name: "bytes[\(size)]", size: size, kind: .opaque)
    }

    /// An unsigned number, such as the index of an array without BTF.
    public static let index = BTFType(name: "__u32", size: 4, kind: .integer(isSigned: false))

    /// The members that are told as this composite's: its own, and those of what is anonymous in it.
    var visibleMembers: [String] {
        guard case .composite(let members, _) = kind else { return [] }
        return members.flatMap { $0.name.isEmpty ? $0.type.visibleMembers : [$0.name] }
    }
}

extension BTFType: CustomStringConvertible {
    /// With what is in it: `struct flow {source: __be32, port: __u16}`.
    public var description: String {
        switch kind {
        case .composite(let members, let isUnion):
            let inner = members.map { member in
                let bits = member.bits > 0 ? ":\(member.bits)" : ""
                return member.name.isEmpty ? "\(member.type)" : "\(member.name)\(bits): \(member.type)"
            }
            return (name.isEmpty ? isUnion ? "union" : "struct" : name) + " {\(inner.joined(separator: ", "))}"
        case .enumeration(let values, _) where values.count <= 16:
            return "\(name) {\(values.map(\.name).joined(separator: ", "))}"
        case .array(let element, let count):
            guard case .composite = element.kind else { return name }
            return "\(element)[\(count)]"
        default:
            return name
        }
    }
}
