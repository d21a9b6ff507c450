// SPDX-License-Identifier: Apache-2.0

extension Node {
    /// What a value of a scalar type looks like, for messages; nil for other types.
    static func name(of type: any Any.Type) -> String? {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any FixedWidthInteger.Type: "an integer"
        case is any BinaryFloatingPoint.Type: "a number"
        default: nil
        }
    }

    /// The value as a string, a boolean or a number; nil when `type` is none of them.
    func scalar<Value>(_ type: Value.Type) throws -> Value? {
        switch type {
        case is String.Type:
            guard case .string(let text) = value else { throw mismatch("a string") }
            return text as? Value
        case is Bool.Type:
            guard case .boolean(let flag) = value else { throw mismatch("true or false") }
            return flag as? Value
        case let type as any FixedWidthInteger.Type:
            return try integer(type) as? Value
        case is Double.Type:
            return try number() as? Value
        case is Float.Type:
            return Float(try number()) as? Value
        default:
            return nil
        }
    }

    private func mismatch(_ expected: String) -> DecodingError {
        error("expected \(expected), found \(value.kind)")
    }

    private func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
        let result: Number?
        switch value {
        case .integer(let value): result = Number(exactly: value)
        case .unsigned(let value): result = Number(exactly: value)
        // `1e3` is an integer too; above 2^53 a double has lost digits.
        case .number(let value) where value == value.rounded() && abs(value) < 0x1p53: result = Number(exactly: value)
        default: throw mismatch("an integer")
        }
        guard let result else {
            throw error("expected an integer from \(Number.min) to \(Number.max), found \(value.kind)")
        }
        return result
    }

    private func number() throws -> Double {
        switch value {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .number(let value): value
        default: throw mismatch("a number")
        }
    }
}

/// The message for a key that no type asked for.
func unknownKey(_ key: String, known: [String]) -> String {
    var candidates: [String] = []
    for name in known.sorted() where candidates.last != name { candidates.append(name) }
    let allowed = max(1, min(key.count, 12) / 3)
    let near = candidates.map { (name: $0, distance: distance(folded(key), folded($0))) }
        .filter { $0.distance <= allowed }
        .min { $0.distance < $1.distance }
    if let near { return "unknown key; did you mean \"\(near.name)\"?" }
    if candidates.isEmpty { return "unknown key; none is known here" }
    return "unknown key; known are " + candidates.map { "\"\($0)\"" }.joined(separator: ", ")
}

/// Lower case, with `_` as `-`, so that `packetsPerSecond` and `packets_per_second` are near `packets-per-second`.
private func folded(_ key: String) -> [UInt8] {
    var result: [UInt8] = []
    for byte in key.utf8 {
        switch byte {
        case UInt8(ascii: "_"): result.append(UInt8(ascii: "-"))
        case UInt8(ascii: "A")...UInt8(ascii: "Z"):
            if !result.isEmpty { result.append(UInt8(ascii: "-")) }
            result.append(byte + 32)
        default: result.append(byte)
        }
    }
    return result
}

/// The Levenshtein distance of two keys.
private func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    // A key can be as long as a configuration; nothing near is that long.
    guard abs(left.count - right.count) <= 4 else { return .max }
    var row = Array(0...right.count)
    for (i, byte) in left.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, other) in right.enumerated() {
            let above = row[j + 1]
            row[j + 1] = min(diagonal + (byte == other ? 0 : 1), above + 1, row[j] + 1)
            diagonal = above
        }
    }
    return row[right.count]
}
