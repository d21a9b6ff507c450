// SPDX-License-Identifier: Apache-2.0

internal import Glibc

extension BTFType {
    /// The bytes in memory that say `value`, padding zero. Strict: every member of a struct must be given, no other may
    /// be, and every number must fit.
    ///
    /// Beside what ``value(of:)`` tells: a number may be text in hexadecimal (`"0x1f"`), a Boolean 0 or 1, an enum a
    /// number; `__be32`, `__u8[4]` and `__u8[16]` take the text of an IP address; a `char` array takes text, as long as
    /// it fits. Of a union one member is enough; several must not contradict each other.
    /// - Parameter path: what the value is, for errors: `key`.
    public func bytes(of value: BTFValue, at path: String) throws(BTFError) -> [UInt8] {
        var memory = [UInt8](repeating: 0, count: size)
        try store(value, into: &memory, at: 0, bits: 0, path)
        return memory
    }

    private func store(
        _ value: BTFValue, into memory: inout [UInt8], at offset: Int, bits: Int, _ path: String
    ) throws(BTFError) {
        let here = offset / 8
        switch kind {
        case .composite(let members, let isUnion):
            guard case .object(let object) = value else { throw mismatch(value, "an object", path) }
            let known = visibleMembers
            if let unknown = object.keys.filter({ !known.contains($0) }).min() {
                throw BTFError(
                    path: path, message: "unknown member \"\(unknown)\"; known: \(known.joined(separator: ", "))")
            }
            try store(members, isUnion, object, into: &memory, at: offset, path)
        case .array(let element, let count):
            if case .string(let text) = value, let raw = try element.text(text, count: count, path) {
                memory.replaceSubrange(here..<here + raw.count, with: raw)
                return
            }
            guard case .list(let values) = value else { throw mismatch(value, "a list of \(count)", path) }
            guard values.count == count else {
                throw BTFError(path: path, message: "\(name) wants \(count) elements, not \(values.count)")
            }
            for (index, value) in values.enumerated() {
                let place = offset + index * element.size * 8
                try element.store(value, into: &memory, at: place, bits: 0, "\(path)[\(index)]")
            }
        case .opaque:
            guard case .string(let text) = value, let raw = Self.hexadecimal(text), raw.count == size else {
                throw mismatch(value, "\(size) bytes in hexadecimal, \"0x...\"", path)
            }
            memory.replaceSubrange(here..<here + size, with: raw)
        case .address:
            guard case .string(let text) = value, let raw = Self.address(text, size: size) else {
                throw mismatch(value, size == 4 ? "an IPv4 address" : "an IPv6 address", path)
            }
            memory.replaceSubrange(here..<here + size, with: raw)
        default:
            let width = bits > 0 ? bits : size * 8
            BPF.store(try pattern(of: value, bits: width, path), into: &memory, at: offset, bits: width)
        }
    }

    private func store(
        _ members: [Member], _ isUnion: Bool, _ object: [String: BTFValue], into memory: inout [UInt8], at offset: Int,
        _ path: String
    ) throws(BTFError) {
        /// The bits that a member of the union before has set, and which one it was.
        var written: [(name: String, bytes: [UInt8], count: Int)] = []
        for member in members {
            let place = offset + member.bitOffset
            if member.name.isEmpty {
                guard case .composite(let inner, let innerUnion) = member.type.kind else { continue }
                if isUnion, !member.type.visibleMembers.contains(where: { object[$0] != nil }) { continue }
                try member.type.store(inner, innerUnion, object, into: &memory, at: place, path)
                continue
            }
            guard let value = object[member.name] else {
                if isUnion { continue }
                throw BTFError(path: path, message: "member \"\(member.name)\" (\(member.type.name)) is missing")
            }
            let memberPath = "\(path).\(member.name)"
            guard isUnion else {
                try member.type.store(value, into: &memory, at: place, bits: member.bits, memberPath)
                continue
            }
            var alone = [UInt8](repeating: 0, count: member.type.size)
            try member.type.store(value, into: &alone, at: 0, bits: member.bits, memberPath)
            for other in written where zip(other.bytes, alone).contains(where: { $0 != $1 }) {
                throw BTFError(
                    path: memberPath, message: "contradicts \"\(other.name)\", which is in the same place; give one")
            }
            written.append((member.name, alone, alone.count))
            let here = place / 8
            for (index, byte) in alone.enumerated() where byte != 0 { memory[here + index] = byte }
        }
        if isUnion, written.isEmpty, !members.contains(where: { $0.name.isEmpty }) {
            let names = members.map(\.name).joined(separator: ", ")
            throw BTFError(path: path, message: "one of the union's members is needed: \(names)")
        }
    }

    private func pattern(of value: BTFValue, bits: Int, _ path: String) throws(BTFError) -> UInt64 {
        switch (kind, value) {
        case (.boolean, .boolean(let flag)): return flag ? 1 : 0
        case (.boolean, .integer(0...1)): return value == .integer(1) ? 1 : 0
        case (.boolean, _): throw mismatch(value, "true or false", path)
        case (.float, _):
            let number: Double
            switch value {
            case .integer(let value): number = Double(value)
            case .unsigned(let value): number = Double(value)
            case .number(let value): number = value
            default: throw mismatch(value, "a number", path)
            }
            return size == 4 ? UInt64(Float(number).bitPattern) : number.bitPattern
        case (.enumeration(let values, let isSigned), .string(let text)) where !text.hasPrefix("0x"):
            guard let known = values.first(where: { $0.name == text }) else {
                let names = values.prefix(64).map(\.name).joined(separator: ", ")
                throw BTFError(path: path, message: "\"\(text)\" is no \(name); known: \(names)")
            }
            let number =
                isSigned
                ? BTFValue.integer(Int64(bitPattern: known.pattern << UInt64(64 - size * 8)) >> Int64(64 - size * 8))
                : .number(known.pattern)
            return try integer(number, isSigned: isSigned, bits: bits, path)
        case (.enumeration(_, let isSigned), _): return try integer(value, isSigned: isSigned, bits: bits, path)
        case (.integer(let isSigned), _), (.character(let isSigned), _):
            return try integer(value, isSigned: isSigned, bits: bits, path)
        case (.bigEndian, .string(let text)) where size == 4 && text.contains("."):
            guard let raw = Self.address(text, size: 4) else { throw mismatch(value, "an IPv4 address", path) }
            return raw.enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64($1.offset * 8) }
        case (.bigEndian, _):
            return try integer(value, isSigned: false, bits: bits, path).byteSwapped >> UInt64(64 - bits)
        default: return try integer(value, isSigned: false, bits: bits, path)
        }
    }

    /// The number's low bits, if it fits.
    private func integer(
        _ value: BTFValue, isSigned: Bool, bits: Int, _ path: String
    ) throws(BTFError) -> UInt64 {
        let number: (magnitude: UInt64, isNegative: Bool)
        switch value {
        case .integer(let value): number = (value.magnitude, value < 0)
        case .unsigned(let value): number = (value, false)
        // `1e3` is an integer too; above 2^53 a double has lost digits.
        case .number(let value) where value == value.rounded() && abs(value) < 0x1p53:
            number = (UInt64(abs(value)), value < 0)
        case .string(let text):
            guard text.hasPrefix("0x"), let value = UInt64(text.dropFirst(2), radix: 16) else {
                throw mismatch(value, "a number", path)
            }
            number = (value, false)
        default: throw mismatch(value, "a number", path)
        }
        let most = isSigned ? UInt64.max >> UInt64(65 - bits) : UInt64.max >> UInt64(64 - bits)
        let least = isSigned ? most + 1 : 0
        guard number.magnitude <= (number.isNegative ? least : most) else {
            let sign = number.isNegative ? "-" : ""
            let type = bits == size * 8 ? name : "\(name):\(bits)"
            throw BTFError(
                path: path,
                message:
                    "\(sign)\(number.magnitude) does not fit \(type), which is \(least > 0 ? "-" : "")\(least) to \(most)"
            )
        }
        let pattern = number.isNegative ? 0 &- number.magnitude : number.magnitude
        return pattern & (UInt64.max >> UInt64(64 - bits))
    }

    /// The bytes of an array of this type that text stands for; nil when this type takes no text.
    private func text(_ text: String, count: Int, _ path: String) throws(BTFError) -> [UInt8]? {
        switch kind {
        case .character:
            let raw = Array(text.utf8)
            guard raw.count <= count, !raw.contains(0) else {
                throw BTFError(path: path, message: "a text of \(raw.count) bytes does not fit \(name)[\(count)]")
            }
            return raw
        case .integer(isSigned: false) where size == 1 && (count == 4 || count == 16):
            guard let raw = Self.address(text, size: count) else {
                throw mismatch(.string(text), "a list of \(count), or an IPv\(count == 4 ? 4 : 6) address", path)
            }
            return raw
        default: return nil
        }
    }

    private static func address(_ text: String, size: Int) -> [UInt8]? {
        var raw = [UInt8](repeating: 0, count: size)
        return inet_pton(size == 4 ? AF_INET : AF_INET6, text, &raw) == 1 ? raw : nil
    }

    private static func hexadecimal(_ text: String) -> [UInt8]? {
        guard text.hasPrefix("0x"), text.utf8.count.isMultiple(of: 2) else { return nil }
        let digits = Array(text.utf8.dropFirst(2))
        var raw: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index..<index + 2], as: UTF8.self)
            guard pair.first?.isHexDigit == true, let byte = UInt8(pair, radix: 16) else { return nil }
            raw.append(byte)
        }
        return raw
    }

    private func mismatch(_ value: BTFValue, _ wanted: String, _ path: String) -> BTFError {
        let type = name.isEmpty || wanted.contains(name) ? "" : "\(name): "
        return BTFError(path: path, message: "\(type)expected \(wanted), found \(value.kind)")
    }
}

/// Puts `bits` bits to bit `offset` on, as a little-endian machine counts them.
private func store(_ pattern: UInt64, into memory: inout [UInt8], at offset: Int, bits: Int) {
    var taken = 0
    while taken < bits {
        let position = offset + taken
        let within = position % 8
        let count = min(8 - within, bits - taken)
        let mask = UInt8(truncatingIfNeeded: 1 << count - 1) << UInt8(within)
        let piece = UInt8(truncatingIfNeeded: pattern >> UInt64(taken)) << UInt8(within)
        memory[position / 8] = memory[position / 8] & ~mask | piece & mask
        taken += count
    }
}
