// SPDX-License-Identifier: Apache-2.0

extension JSON {
    /// Parses one JSON document in UTF-8. Refuses duplicate keys and more than 64 levels of nesting.
    /// - Throws: ``StageError`` with the line and column.
    public init(parsing bytes: [UInt8]) throws(StageError) {
        self = try bytes.withUnsafeBufferPointer { buffer throws(StageError) in
            var parser = JSONParser(bytes: buffer)
            return try parser.document()
        }
    }
}

private struct JSONParser {
    static let deepest = 64

    let bytes: UnsafeBufferPointer<UInt8>
    var index = 0

    init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    mutating func document() throws(StageError) -> JSON {
        let value = try value(depth: 0)
        skipSpace()
        guard index == bytes.count else { throw error("expected the end of the document") }
        return value
    }

    /// The error at the current position, or at `place`.
    func error(_ message: String, at place: Int? = nil) -> StageError {
        let before = bytes.prefix(place ?? index)
        let line = before.reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
        let column = before.count - (before.lastIndex(of: UInt8(ascii: "\n")) ?? -1)
        return StageError("not valid JSON at line \(line), column \(column): \(message)")
    }

    mutating func skipSpace() {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0a, 0x0d: index += 1
            default: return
            }
        }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    mutating func value(depth: Int) throws(StageError) -> JSON {
        guard depth <= Self.deepest else { throw error("more than \(Self.deepest) levels of nesting") }
        skipSpace()
        guard index < bytes.count else { throw error("expected a value, found the end") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw error("expected a value")
        }
    }

    mutating func word(_ word: StaticString, _ value: JSON) throws(StageError) -> JSON {
        let end = index + word.utf8CodeUnitCount
        guard end <= bytes.count, bytes[index..<end].elementsEqual(word.description.utf8) else {
            throw error("expected a value")
        }
        index = end
        return value
    }

    mutating func object(depth: Int) throws(StageError) -> JSON {
        let start = index
        index += 1
        var members: [JSON.Object.Member] = []
        skipSpace()
        if !take(UInt8(ascii: "}")) {
            repeat {
                skipSpace()
                guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw error("expected a key") }
                let key = try string()
                skipSpace()
                guard take(UInt8(ascii: ":")) else { throw error("expected \":\"") }
                members.append(.init(key: key, value: try value(depth: depth + 1)))
                skipSpace()
            } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "}")) else { throw error("expected \",\" or \"}\"") }
        }
        var duplicate = ""
        guard let object = JSON.Object(members: members, duplicate: &duplicate) else {
            throw error("the key \"\(duplicate)\" is there twice", at: start)
        }
        return .object(object)
    }

    mutating func array(depth: Int) throws(StageError) -> JSON {
        index += 1
        var values: [JSON] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(values) }
        repeat {
            values.append(try value(depth: depth + 1))
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw error("expected \",\" or \"]\"") }
        return .array(values)
    }

    mutating func number() throws(StageError) -> JSON {
        let start = index
        var integral = true
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) {
            integral = false
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            integral = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if integral {
            if let value = Int64(text) { return .integer(value) }
            if let value = UInt64(text) { return .unsigned(value) }
        }
        guard let value = Double(text), value.isFinite else { throw error("the number is too large", at: start) }
        return .number(value)
    }

    mutating func digits() throws(StageError) {
        let start = index
        while index < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) { index += 1 }
        guard index > start else { throw error("expected a digit") }
    }

    mutating func string() throws(StageError) -> String {
        let start = index
        index += 1
        var end = index
        while end < bytes.count, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\"), bytes[end] >= 0x20
        {
            end += 1
        }
        if end < bytes.count, bytes[end] == UInt8(ascii: "\"") {
            let text = String(validating: bytes[index..<end], as: UTF8.self)
            index = end + 1
            return try checked(text, from: start)
        }
        var units = Array(bytes[index..<end])
        index = end
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                return try checked(String(validating: units, as: UTF8.self), from: start)
            case UInt8(ascii: "\\"):
                index += 1
                try escape(into: &units)
            case 0..<0x20:
                throw error("a control character in a string must be escaped")
            default:
                units.append(byte)
                index += 1
            }
        }
        throw error("the string does not end", at: start)
    }

    func checked(_ text: String?, from start: Int) throws(StageError) -> String {
        guard let text else { throw error("the string is not UTF-8", at: start) }
        return text
    }

    mutating func escape(into units: inout [UInt8]) throws(StageError) {
        guard index < bytes.count else { throw error("the string does not end") }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(byte)
        case UInt8(ascii: "b"): units.append(0x08)
        case UInt8(ascii: "f"): units.append(0x0c)
        case UInt8(ascii: "n"): units.append(0x0a)
        case UInt8(ascii: "r"): units.append(0x0d)
        case UInt8(ascii: "t"): units.append(0x09)
        case UInt8(ascii: "u"):
            var code = UInt32(try hexadecimal())
            if (0xd800..<0xdc00).contains(code), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
                let low = UInt32(try hexadecimal())
                guard (0xdc00..<0xe000).contains(low) else { throw error("half a surrogate pair") }
                code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw error("half a surrogate pair") }
            units.append(contentsOf: Character(scalar).utf8)
        default: throw error("unknown escape")
        }
    }

    mutating func hexadecimal() throws(StageError) -> UInt16 {
        var code: UInt16 = 0
        for _ in 0..<4 {
            guard index < bytes.count, let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else {
                throw error("expected four hexadecimal digits")
            }
            code = code << 4 | UInt16(digit)
            index += 1
        }
        return code
    }
}
