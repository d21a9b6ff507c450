// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
public import StageKit

/// TCP flags that must be set, and others that must not: `syn,!ack`.
public struct FlagsMatch: Codable, Sendable, Hashable, CustomStringConvertible {
    public let set: TCPFlags
    public let unset: TCPFlags

    public init(set: TCPFlags, unset: TCPFlags = []) {
        self.set = set
        self.unset = unset
    }

    /// - Throws: ``StageError`` for a flag that is none, or that must be set and not set.
    public init(_ text: String) throws(StageError) {
        var set: TCPFlags = []
        var unset: TCPFlags = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let word = part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
            let name = String(word.first == "!" ? word.dropFirst() : word[...])
            guard let flag = TCPFlags.names.first(where: { $0.name == name })?.flag else {
                let known = TCPFlags.names.map(\.name).joined(separator: ", ")
                throw StageError("\"\(text)\": expected flags such as \"syn,!ack\", of \(known)")
            }
            if word.first == "!" { unset.insert(flag) } else { set.insert(flag) }
        }
        guard set.isDisjoint(with: unset) else {
            throw StageError("\"\(text)\": a flag cannot be both set and not set")
        }
        self.init(set: set, unset: unset)
    }

    public func matches(_ flags: TCPFlags) -> Bool {
        flags.isSuperset(of: set) && flags.isDisjoint(with: unset)
    }

    public var description: String {
        let words = TCPFlags.names.compactMap { name, flag in
            set.contains(flag) ? name : unset.contains(flag) ? "!\(name)" : nil
        }
        return words.joined(separator: ",")
    }

    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
