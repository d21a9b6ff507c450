// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// Bytes that must be at a place behind the transport header; of each only the bits that the mask has.
public struct PayloadMatch: Codable, Sendable, Hashable, CustomStringConvertible {
    /// `DOS_PAYLOAD_BYTES`.
    static let longest = 16
    static let maximumOffset = 9000

    public let offset: Int
    public let bytes: Bytes
    /// As long as the bytes.
    public let mask: Bytes

    /// - Throws: ``StageError`` for a place or bytes that no rule can ask for.
    public init(offset: Int, bytes: Bytes, mask: Bytes? = nil) throws(StageError) {
        guard (0...Self.maximumOffset).contains(offset) else {
            throw StageError("\(offset): expected 0 to \(Self.maximumOffset)", at: "offset")
        }
        guard (1...Self.longest).contains(bytes.raw.count) else {
            throw StageError("has \(bytes.raw.count) bytes; expected 1 to \(Self.longest)", at: "bytes")
        }
        let mask = mask ?? Bytes([UInt8](repeating: 0xff, count: bytes.raw.count))
        guard mask.raw.count == bytes.raw.count else {
            throw StageError("has \(mask.raw.count) bytes; expected \(bytes.raw.count), as bytes has", at: "mask")
        }
        guard zip(bytes.raw, mask.raw).allSatisfy({ $0 & ~$1 == 0 }) else {
            throw StageError("has bits set that the mask leaves out", at: "bytes")
        }
        self.offset = offset
        self.bytes = bytes
        self.mask = mask
    }

    private enum CodingKeys: String, CodingKey {
        case offset, bytes, mask
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            offset: container.decode(Int.self, forKey: .offset), bytes: container.decode(Bytes.self, forKey: .bytes),
            mask: container.decodeIfPresent(Bytes.self, forKey: .mask))
    }

    public func matches(_ payload: [UInt8]) -> Bool {
        offset + bytes.raw.count <= payload.count
            && bytes.raw.indices.allSatisfy { payload[offset + $0] & mask.raw[$0] == bytes.raw[$0] }
    }

    public var description: String { "\(bytes.hex)/\(mask.hex) at \(offset)" }
}
