// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// How many packets become samples, whatever becomes of them.
public struct Sampling: Codable, Sendable, Equatable {
    /// Of each CPU, at most.
    public var packetsPerSecond: Int

    public static let standard = Sampling(packetsPerSecond: 1000)

    public init(packetsPerSecond: Int) {
        self.packetsPerSecond = packetsPerSecond
    }

    private enum CodingKeys: String, CodingKey {
        case packetsPerSecond = "packets-per-second"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        packetsPerSecond = try container.decode(Int.self, forKey: .packetsPerSecond)
        guard (1...100_000).contains(packetsPerSecond) else {
            throw StageError("\(packetsPerSecond): expected 1 to 100000", at: CodingKeys.packetsPerSecond.rawValue)
        }
    }

    /// Nanoseconds from sample to sample.
    public var interval: UInt64 { 1_000_000_000 / UInt64(packetsPerSecond) }
}
