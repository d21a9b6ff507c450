// SPDX-License-Identifier: Apache-2.0

internal import Glibc

extension BTFType {
    /// What bytes in memory say. Every value can be given back to ``bytes(of:at:)``, which makes the same bytes of it,
    /// but for padding and `union`s.
    ///
    /// Numbers are told as what they mean, whatever their byte order in memory; an enum by its name where it has one;
    /// text as text where all of it can be printed; a pointer in hexadecimal.
    /// - Parameter bytes: as many as the type has; others are told in hexadecimal.
    public func value(of bytes: [UInt8]) -> BTFValue {
        guard bytes.count == size else { return .string("0x" + hexadecimal(bytes)) }
        return bytes.withUnsafeBytes { render($0, at: 0, bits: 0) }
    }

    private func render(_ memory: UnsafeRawBufferPointer, at offset: Int, bits: Int) -> BTFValue {
        let here = offset / 8
        switch kind {
        case .composite(let members, _):
            var object: [String: BTFValue] = [:]
            for member in members {
                let value = member.type.render(memory, at: offset + member.bitOffset, bits: member.bits)
                if member.name.isEmpty, case .object(let inner) = value {
                    object.merge(inner) { first, _ in first }
                } else {
                    object[member.name] = value
                }
            }
            return .object(object)
        case .array(let element, let count):
            if case .character = element.kind, let text = Self.text(memory[here..<here + count]) {
                return .string(text)
            }
            return .list((0..<count).map { element.render(memory, at: offset + $0 * element.size * 8, bits: 0) })
        case .opaque:
            return .string("0x" + hexadecimal(memory[here..<here + size]))
        case .address:
            return .string(Self.addressText(Array(memory[here..<here + size])))
        default:
            return scalar(load(memory, at: offset, bits: bits > 0 ? bits : size * 8), bits: bits > 0 ? bits : size * 8)
        }
    }

    private func scalar(_ pattern: UInt64, bits: Int) -> BTFValue {
        let signed = Int64(bitPattern: pattern << UInt64(64 - bits)) >> Int64(64 - bits)
        switch kind {
        case .boolean: return .boolean(pattern != 0)
        case .pointer: return .string("0x" + String(pattern, radix: 16))
        case .bigEndian: return .number(pattern.byteSwapped >> UInt64(64 - bits))
        case .float:
            return .number(size == 4 ? Double(Float(bitPattern: UInt32(pattern))) : Double(bitPattern: pattern))
        case .enumeration(let values, let isSigned):
            let known = values.first {
                $0.pattern == pattern || (isSigned && bits < size * 8 && $0.low(bits) == pattern)
            }
            return known.map { .string($0.name) } ?? (isSigned ? .integer(signed) : .number(pattern))
        case .integer(true), .character(true): return .integer(signed)
        default: return .number(pattern)
        }
    }

    /// The text in a `char` array: up to the first zero, if only zeros follow and all of it can be printed.
    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String? {
        let text = bytes.prefix { $0 != 0 }
        guard bytes.dropFirst(text.count).allSatisfy({ $0 == 0 }),
            let result = String(validating: text, as: UTF8.self),
            result.unicodeScalars.allSatisfy({ $0.value >= 32 && !(127..<160).contains($0.value) })
        else { return nil }
        return result
    }

    private static func addressText(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension BTFType.Enumerator {
    fileprivate func low(_ bits: Int) -> UInt64 { pattern & (bits >= 64 ? .max : 1 << UInt64(bits) - 1) }
}

/// `bits` bits from bit `offset` on, as a little-endian machine counts them; so do all that Sluice runs on.
private func load(_ memory: UnsafeRawBufferPointer, at offset: Int, bits: Int) -> UInt64 {
    var result: UInt64 = 0
    var taken = 0
    while taken < bits {
        let position = offset + taken
        let within = position % 8
        let count = min(8 - within, bits - taken)
        let piece = UInt64(memory[position / 8]) >> UInt64(within) & (1 << UInt64(count) - 1)
        result |= piece << UInt64(taken)
        taken += count
    }
    return result
}

/// Two digits a byte.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.reduce(into: "") { text, byte in
        text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
}
