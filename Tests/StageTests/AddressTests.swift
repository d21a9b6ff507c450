// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@Suite("Addresses and prefixes")
struct AddressTests {
    @Test(arguments: ["0.0.0.0", "192.0.2.255", "::", "2001:db8::1", "::ffff:10.0.0.1"])
    func addressesComeBack(text: String) throws {
        #expect(try #require(IPAddress(text)).description == text)
    }

    @Test(arguments: [
        "", "10", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1 ", "::g", "fe80::1%eth0", "[::1]", "1:2",
    ])
    func whatIsNoAddressIsRefused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func ipv4IsMapped() {
        #expect(IPAddress("10.1.2.3").mapped == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3])
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"), ("10.0.0.4/30", "10.0.0.7", "10.0.0.8"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.0"), ("0.0.0.0/0", "255.255.255.255", "::"),
        ("2001:db8::/33", "2001:db8:7fff:ffff::", "2001:db8:8000::"), ("::/0", "ffff::", "0.0.0.0"),
        ("::2/127", "::3", "::1"),
    ])
    func prefixesContain(text: String, inside: String, outside: String) throws {
        let prefix = try IPPrefix(text)
        #expect(prefix.contains(try #require(IPAddress(inside))))
        #expect(!prefix.contains(try #require(IPAddress(outside))))
        #expect(try IPPrefix(prefix.description) == prefix)
    }

    @Test(arguments: [
        "10.0.0.0/33", "::/129", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "/8", "10/8", "x",
    ])
    func whatIsNoPrefixIsRefused(text: String) {
        #expect(throws: StageError.self) { try IPPrefix(text) }
    }
}
