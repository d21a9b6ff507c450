// SPDX-License-Identifier: Apache-2.0

import BPF
import StageTesting
import Testing

/// Values by type, from what the compiler says about an object.
@Suite struct BTFTests {
    private static func object() throws -> BPFObject {
        try BPFObject(contentsOf: BuildProducts.object("tables", of: "fixture-stage"))
    }

    private static let record: [String: BTFValue] = [
        "gateway": .string("192.0.2.1"), "server": .string("2001:db8::1"),
        "addr": .list([10, 0, 0, 1].map { .integer($0) }), "addr6": .list((0..<16).map { .integer($0) }),
        "name": .string("edge"), "on": .boolean(true), "mood": .string("MOOD_SAD"), "size": .string("SIZE_HUGE"),
        "low": .integer(5), "high": .integer(6), "balance": .integer(-16), "wide": .integer(0x1_ffff_ffff),
        "tiny": .integer(-128), "total": .integer(.min), "next": .string("0xdeadbeef"), "inner": .integer(65535),
        "both": .object(["word": .integer(0x0403_0201), "quad": .list([1, 2, 3, 4].map { .integer($0) })]),
        "left": .integer(9), "right": .integer(9),
        "grid": .list([.list([.integer(1), .integer(2)]), .list([.integer(3), .integer(4)])]),
    ]

    @Test func aValueOfEveryKindComesBackAsItWent() throws {
        let type = try #require(try Self.object().map("records")?.valueType)
        let bytes = try type.bytes(of: .object(Self.record), at: "value")
        #expect(bytes.count == type.size)
        #expect(type.value(of: bytes) == .object(Self.record))
        // Not only both ways alike: as C has it.
        #expect(Array(bytes[0..<4]) == [192, 0, 2, 1] && Array(bytes[20..<24]) == [10, 0, 0, 1])
        let zero = type.value(of: [UInt8](repeating: 0, count: type.size))
        #expect(zero["mood"] == .string("MOOD_CALM") && zero["size"] == .integer(0) && zero["name"] == .string(""))
    }

    @Test func numbersInNetworkOrderAreToldAsWhatTheyMean() throws {
        let type = try #require(try Self.object().map("records")?.keyType)
        let key = BTFValue.object(["source": .string("10.0.0.1"), "port": .integer(443), "kind": .string("0x1f")])
        let bytes = try type.bytes(of: key, at: "key")
        #expect(bytes == [10, 0, 0, 1, 1, 187, 31, 0])
        let told = BTFValue.object(["source": .integer(0x0a00_0001), "port": .integer(443), "kind": .integer(31)])
        #expect(type.value(of: bytes) == told)
        #expect(try type.bytes(of: told, at: "key") == bytes)
    }

    @Test(
        arguments: [
            (
                "addr", BTFValue.list([1, 2, 3, 300].map { .integer($0) }),
                "value.addr[3]: 300 does not fit __u8, which is 0 to 255"
            ),
            ("addr", .list([.integer(1)]), "value.addr: __u8[4] wants 4 elements, not 1"),
            (
                "addr", .string("10.0.0"),
                "value.addr: __u8: expected a list of 4, or an IPv4 address, found the text \"10.0.0\""
            ),
            ("name", .string("too long"), nil),
            ("name", .string("too long!"), "value.name: a text of 9 bytes does not fit char[8]"),
            ("on", .integer(2), "value.on: _Bool: expected true or false, found the number 2"),
            (
                "mood", .string("MOOD_ODD"),
                "value.mood: \"MOOD_ODD\" is no enum mood; known: MOOD_SAD, MOOD_CALM, MOOD_GLAD"
            ),
            ("mood", .integer(-2), nil),
            ("low", .integer(8), "value.low: 8 does not fit __u8:3, which is 0 to 7"),
            ("balance", .integer(-17), "value.balance: -17 does not fit __s32:5, which is -16 to 15"),
            ("tiny", .integer(-129), "value.tiny: -129 does not fit __s8, which is -128 to 127"),
            (
                "total", .unsigned(1 << 63),
                "value.total: 9223372036854775808 does not fit __s64, which is "
                    + "-9223372036854775808 to 9223372036854775807"
            ),
            ("wide", .number(1.5), "value.wide: __u64: expected a number, found the number 1.5"),
            ("gateway", .integer(1), "value.gateway: struct in_addr: expected an IPv4 address, found the number 1"),
            ("both", .object(["word": .integer(1)]), nil),
            ("both", .object([:]), "value.both: one of the union's members is needed: word, quad"),
            (
                "both",
                .object(["word": .integer(1), "quad": .list([.integer(2), .integer(0), .integer(0), .integer(0)])]),
                "value.both.quad: contradicts \"word\", which is in the same place; give one"
            ),
            ("right", .integer(8), "value.right: contradicts \"left\", which is in the same place; give one"),
            ("grid", .list([.list([]), .list([])]), "value.grid[0]: __u16[2] wants 2 elements, not 0"),
            ("next", .null, "value.next: pointer: expected a number, found null"),
            ("inner", .integer(65536), "value.inner: 65536 does not fit __u16, which is 0 to 65535"),
            ("nobody", .integer(1), nil),
        ] as [(String, BTFValue, String?)])
    func whatDoesNotFitIsRefusedWithItsPlace(member: String, value: BTFValue, message: String?) throws {
        let type = try #require(try Self.object().map("records")?.valueType)
        var record = Self.record
        record[member] = value
        if member == "nobody" {
            let error = #expect(throws: BTFError.self) { try type.bytes(of: .object(record), at: "value") }
            #expect(error?.description.hasPrefix("value: unknown member \"nobody\"; known: gateway, server,") == true)
        } else if let message {
            let error = #expect(throws: BTFError.self) { try type.bytes(of: .object(record), at: "value") }
            #expect(error?.description == message)
        } else {
            _ = try type.bytes(of: .object(record), at: "value")
        }
    }

    @Test func aMissingMemberIsNamedWithItsType() throws {
        let type = try #require(try Self.object().map("records")?.keyType)
        let error = #expect(throws: BTFError.self) {
            try type.bytes(of: .object(["source": .integer(1), "kind": .integer(1)]), at: "key")
        }
        #expect(error?.description == "key: member \"port\" (__be16) is missing")
    }

    @Test func typesAreToldAsCNamesThem() throws {
        let object = try Self.object()
        #expect(
            try #require(object.map("records")?.keyType).description
                == "struct flow {source: __be32, port: __be16, kind: __u8}")
        #expect(object.map("seen")?.valueType?.name == "__u64")
        #expect(object.map("raw")?.valueType?.value(of: [1, 0xfe]) == .string("0x01fe"))
        #expect(try object.map("raw")?.keyType?.bytes(of: .string("0x01020304"), at: "key") == [1, 2, 3, 4])
        #expect(object.map("ring")?.keyType == nil)
    }

    @Test func constantsTakeValuesOfTheirType() throws {
        let object = try Self.object()
        try object.setConstant("label", value: .string("edge"))
        try object.setConstant("ports", value: .list([.integer(1), .integer(2), .integer(3)]))
        try object.setConstant("offset", value: .integer(-1))
        try object.setConstant("preset", value: .object(Self.record))
        #expect(object.constantType("ports")?.name == "__u16[3]")
        let error = #expect(throws: BPFError.self) {
            try object.setConstant("ports", value: .list([.integer(1), .integer(2), .integer(65536)]))
        }
        #expect(error?.description.contains("ports[2]: 65536 does not fit __u16, which is 0 to 65535") == true)
    }

    @Test func textThatCannotBePrintedIsToldAsNumbers() {
        let char = BTFType(name: "char", size: 1, kind: .character(isSigned: true))
        let text = BTFType(name: "char[4]", size: 4, kind: .array(char, count: 4))
        #expect(text.value(of: Array("ab".utf8) + [0, 0]) == .string("ab"))
        #expect(text.value(of: [0x61, 0, 0x62, 0]) == .list([0x61, 0, 0x62, 0].map { .integer($0) }))
        #expect(text.value(of: [0xff, 0, 0, 0]) == .list([-1, 0, 0, 0].map { .integer($0) }))
    }
}

extension BTFValue {
    fileprivate subscript(member: String) -> BTFValue? {
        if case .object(let members) = self { members[member] } else { nil }
    }
}
