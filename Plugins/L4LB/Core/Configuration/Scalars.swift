// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// An address as a configuration has it.
struct Address: Decodable, Sendable {
    let address: IPAddress

    init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let address = IPAddress(text) else {
            throw StageError("\"\(text)\": expected an address such as 192.0.2.1 or 2001:db8::1")
        }
        self.address = address
    }

    /// - Throws: ``StageError`` when it is of the other family.
    func address(isIPv4: Bool) throws -> IPAddress {
        guard address.isIPv4 == isIPv4 else {
            throw StageError("\"\(address)\": expected an address of \(isIPv4 ? "IPv4" : "IPv6")")
        }
        return address
    }
}

extension MACAddress {
    /// Nil unless `text` is six bytes in hexadecimal, `02:00:5e:10:00:01`.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
        guard parts.count == 6, bytes.count == 6 else { return nil }
        self.init(bytes)
    }

    var text: String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":") }
}
