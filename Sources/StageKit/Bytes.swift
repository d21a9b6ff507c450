// SPDX-License-Identifier: Apache-2.0

/// Bytes as they lie in memory; lower-case hexadecimal in JSON.
public struct Bytes: Sendable, Hashable {
    public var raw: [UInt8]

    public init(_ raw: [UInt8] = []) {
        self.raw = raw
    }

    /// An integer in host byte order: the key of an array, as a `UInt32`.
    public init(number: some FixedWidthInteger) {
        self.init()
        append(number)
    }

    /// Appends an integer in host byte order, as C structs hold their numbers.
    public mutating func append<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value) { raw.append(contentsOf: $0) }
    }

    /// Appends an integer in network byte order (`__be16`, `__be32`).
    public mutating func append<T: FixedWidthInteger>(bigEndian value: T) {
        append(value.bigEndian)
    }

    /// The integer in host byte order at an offset.
    /// - Precondition: it lies within the bytes.
    public func number<T: FixedWidthInteger>(at offset: Int = 0, as type: T.Type = T.self) -> T {
        raw.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }

    /// Appends bytes as they are.
    public mutating func append(bytes: some Sequence<UInt8>) {
        raw.append(contentsOf: bytes)
    }

    /// Appends zero bytes up to a multiple of `alignment`, as a C compiler pads a struct.
    public mutating func pad(to alignment: Int) {
        while raw.count % alignment != 0 { raw.append(0) }
    }
}

extension Bytes: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let bytes = Bytes(hex: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected an even number of hexadecimal digits")
        }
        self = bytes
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }

    /// Nil unless `hex` is an even number of hexadecimal digits.
    public init?(hex: String) {
        let digits = Array(hex.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var raw: [UInt8] = []
        raw.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.nibble(digits[index]), let low = Self.nibble(digits[index + 1]) else { return nil }
            raw.append(high << 4 | low)
        }
        self.raw = raw
    }

    /// Lower-case hexadecimal digits.
    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: raw.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
