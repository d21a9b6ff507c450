// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@Suite struct JSONTests {
    private func parse(_ text: String) throws -> JSON { try JSON(parsing: Array(text.utf8)) }

    @Test(arguments: [
        "null", "true", "[]", "{}", "-9223372036854775808", "18446744073709551615", "0.1", "1e-05",
        #"{"a":[1,{"b":"\"\\\n\u0001"}],"c":"é😀"}"#,
    ])
    func writesWhatItReads(text: String) throws {
        #expect(try parse(text).description == text)
        #expect(try parse(String(decoding: parse(text).serialized(pretty: true), as: UTF8.self)).description == text)
    }

    @Test func sortsKeysAndReadsEscapes() throws {
        #expect(try parse(#" { "b" : 1 , "a" : "\u00e9\ud83d\ude00\/" } "#).description == #"{"a":"é😀/","b":1}"#)
    }

    @Test func writesPretty() throws {
        let text = String(decoding: try parse(#"{"b":[1,2],"a":{},"c":[]}"#).serialized(pretty: true), as: UTF8.self)
        #expect(text == "{\n  \"a\": {},\n  \"b\": [\n    1,\n    2\n  ],\n  \"c\": []\n}")
    }

    @Test(arguments: [
        ("", "line 1, column 1: expected a value, found the end"),
        ("{\n\"a\" 1}", "line 2, column 5: expected \":\""),
        ("[1,]", "line 1, column 4: expected a value"),
        ("[1 2]", "line 1, column 4: expected \",\" or \"]\""),
        ("01", "line 1, column 2: expected the end of the document"),
        ("1.", "line 1, column 3: expected a digit"),
        ("1e999", "line 1, column 1: the number is too large"),
        ("\"a", "line 1, column 1: the string does not end"),
        ("\"\\x\"", "line 1, column 4: unknown escape"),
        ("\"\\ud800\"", "line 1, column 8: half a surrogate pair"),
        ("\"\u{1}\"", "line 1, column 2: a control character in a string must be escaped"),
        ("tru", "line 1, column 1: expected a value"),
        (String(repeating: "[", count: 70), "line 1, column 66: more than 64 levels of nesting"),
    ])
    func refuses(text: String, reason: String) {
        #expect(throws: StageError("not valid JSON at \(reason)")) { try parse(text) }
    }

    @Test func refusesWhatIsNotUTF8() {
        #expect(throws: StageError("not valid JSON at line 1, column 1: the string is not UTF-8")) {
            try JSON(parsing: [0x22, 0xff, 0x22])
        }
    }

    @Test func isCodableItself() throws {
        let json = try parse(#"{"a":[1,null,true,"x",0.5,18446744073709551615],"b":{"c":{}}}"#)
        #expect(try JSON(encoding: ["x": json]).description == "{\"x\":\(json)}")
        struct Holder: Codable { var configuration: JSON }
        #expect(try JSON(encoding: Holder(configuration: json)).decode(Holder.self).configuration == json)
    }

    @Test func encodesAsCodableSays() throws {
        struct Value: Encodable {
            var list: [Int?] = [1, nil]
            var missing: String?
            var dictionary = ["k": 0.5]
            var empty: [String] = []
        }
        #expect(try JSON(encoding: Value()).description == #"{"dictionary":{"k":0.5},"empty":[],"list":[1,null]}"#)
        #expect(throws: EncodingError.self) { try JSON(encoding: [Double.infinity]) }
    }
}
