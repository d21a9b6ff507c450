// SPDX-License-Identifier: Apache-2.0

/// The version of a plugin: `MAJOR.MINOR` or `MAJOR.MINOR.PATCH`, ordered number by number, so that 1.10 is newer
/// than 1.9.
public struct PluginVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Two or three numbers.
    public let numbers: [UInt32]

    /// Nil unless `text` is two or three decimal numbers without leading zeros, with dots between them.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count) else { return nil }
        var numbers: [UInt32] = []
        for part in parts {
            // A number written in two ways would be two folders of one version.
            guard part.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let number = UInt32(part), String(number) == part
            else { return nil }
            numbers.append(number)
        }
        self.numbers = numbers
    }

    public var description: String { numbers.map(String.init).joined(separator: ".") }

    public static func < (left: PluginVersion, right: PluginVersion) -> Bool {
        left.numbers.lexicographicallyPrecedes(right.numbers)
    }
}
