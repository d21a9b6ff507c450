// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A version of Linux by the two numbers that features come with: `"6.6"`.
public struct KernelVersion: Comparable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let major, minor: Int

    public init(_ major: Int, _ minor: Int) { (self.major, self.minor) = (major, minor) }

    /// - Parameter text: `6.6`, or what `uname -r` says, `6.12.118+deb13-cloud-amd64`. What is no version is older than
    /// any.
    public init(stringLiteral text: String) {
        let numbers = text.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        self = numbers.count == 2 ? KernelVersion(numbers[0], numbers[1]) : KernelVersion(0, 0)
    }

    /// The one that runs (`uname(2)`).
    public static let running = KernelVersion(stringLiteral: release)

    /// `uname -r`.
    public static let release: String = {
        var name = utsname()
        uname(&name)
        return withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }()

    public static func < (left: KernelVersion, right: KernelVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    public var description: String { "\(major).\(minor)" }
}
