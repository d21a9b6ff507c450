// SPDX-License-Identifier: Apache-2.0

extension Constant: Codable {
    private struct Raw: Codable { var bytes: Bytes }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .unsigned(value)
        } else if let value = try? container.decode(Raw.self) {
            self = .bytes(value.bytes)
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected an integer, true, false or {\"bytes\": \"<hexadecimal>\"}")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .boolean(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .unsigned(let value): try container.encode(value)
        case .bytes(let value): try container.encode(Raw(bytes: value))
        }
    }
}
