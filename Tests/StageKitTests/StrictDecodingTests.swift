// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@Suite struct StrictDecodingTests {
    enum Transport: String, Codable, CaseIterable { case tcp, udp }

    struct Rule: Codable, Equatable {
        var source: String
        var ports: [UInt16]?
        var protocols: [Transport]?
        var packetsPerSecond: UInt32?

        enum CodingKeys: String, CodingKey {
            case source, ports, protocols
            case packetsPerSecond = "packets-per-second"
        }
    }

    struct Configuration: Codable, Equatable {
        var rules: [Rule]
        var names: [String: Int]?
        var ratio: Double?
    }

    struct Empty: Codable {}

    private func decode(_ text: String) throws -> Configuration {
        try JSON(parsing: Array(text.utf8)).decode(Configuration.self)
    }

    @Test func decodesWhatIsRight() throws {
        let text = """
            {"rules": [{"source": "10.0.0.0/8", "packets-per-second": 1e3, "ports": [80, 443]},
                       {"source": "::/0", "protocols": ["udp"], "ports": null}],
             "names": {"a b": 1}, "ratio": 1}
            """
        let expected = Configuration(
            rules: [
                Rule(source: "10.0.0.0/8", ports: [80, 443], packetsPerSecond: 1000),
                Rule(source: "::/0", protocols: [.udp]),
            ], names: ["a b": 1], ratio: 1)
        #expect(try decode(text) == expected)
    }

    @Test(arguments: [
        (#"{"rules":[{"source":"a"},{"sorce":"b"}]}"#, "rules[1].source", "required, but missing (a string)"),
        (
            #"{"rules":[{"source":"a","packets_per_second":1}]}"#, "rules[0].packets_per_second",
            #"unknown key; did you mean "packets-per-second"?"#
        ),
        (
            #"{"rules":[{"source":"a","packetsPerSecond":1}]}"#, "rules[0].packetsPerSecond",
            #"unknown key; did you mean "packets-per-second"?"#
        ),
        (#"{"rules":[],"zzz":1}"#, "zzz", #"unknown key; known are "names", "ratio", "rules""#),
        (#"{"rules":[],"a b":1}"#, #"["a b"]"#, #"unknown key; known are "names", "ratio", "rules""#),
        (#"{"rules":[{"source":3}]}"#, "rules[0].source", "expected a string, found the number 3"),
        (#"{"rules":{}}"#, "rules", "expected a list, found an object"),
        (#"{"rules":[7]}"#, "rules[0]", "expected an object, found the number 7"),
        ("[]", "", "expected an object, found a list"),
        (
            #"{"rules":[{"source":"a","ports":[80,65536]}]}"#, "rules[0].ports[1]",
            "expected an integer from 0 to 65535, found the number 65536"
        ),
        (
            #"{"rules":[{"source":"a","ports":[0.5]}]}"#, "rules[0].ports[0]",
            "expected an integer, found the number 0.5"
        ),
        (
            #"{"rules":[{"source":"a","protocols":["icmp"]}]}"#, "rules[0].protocols[0]",
            #"the string "icmp" is not one of "tcp", "udp""#
        ),
        (#"{"rules":[],"names":{"a b":"x"}}"#, #"names["a b"]"#, #"expected an integer, found the string "x""#),
        (#"{"rules":[],"ratio":"1"}"#, "ratio", #"expected a number, found the string "1""#),
        (#"{"rules":[],"rules":[]}"#, "", #"not valid JSON at line 1, column 1: the key "rules" is there twice"#),
    ])
    func namesTheMistake(text: String, path: String, message: String) {
        #expect(throws: StageError(message, at: path)) { try decode(text) }
    }

    @Test func refusesKeysOfAnEmptyConfiguration() throws {
        _ = try JSON.object(.init()).decode(Empty.self)
        #expect(throws: StageError("unknown key; none is known here", at: "a")) {
            try JSON(parsing: Array(#"{"a":1}"#.utf8)).decode(Empty.self)
        }
    }

    /// A type that takes a string or an object, and throws its own error.
    enum Limit: Codable, Equatable {
        case rate(Int)
        case detailed(Detail)
        struct Detail: Codable, Equatable { var rate: Int }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let detail = try? container.decode(Detail.self) {
                self = .detailed(detail)
            } else {
                let text = try container.decode(String.self)
                guard text.hasSuffix("/s"), let rate = Int(text.dropLast(2)) else {
                    throw StageError("\"\(text)\": expected a rate such as \"100/s\"")
                }
                self = .rate(rate)
            }
        }

        func encode(to encoder: any Encoder) throws {}
    }

    @Test func placesErrorsThatTypesThrow() throws {
        #expect(
            try JSON(parsing: Array(#"{"x":["5/s",{"rate":3}]}"#.utf8)).decode([String: [Limit]].self)
                == ["x": [.rate(5), .detailed(.init(rate: 3))]])
        #expect(throws: StageError(#""5": expected a rate such as "100/s""#, at: "x[1]")) {
            try JSON(parsing: Array(#"{"x":["5/s","5"]}"#.utf8)).decode([String: [Limit]].self)
        }
    }

    /// Takes its object apart by hand.
    struct Manual: Decodable {
        enum Keys: String, CodingKey { case outer, inner }
        init(from decoder: any Decoder) throws {
            let nested = try decoder.container(keyedBy: Keys.self).nestedContainer(keyedBy: Keys.self, forKey: .outer)
            _ = try nested.decode(Int.self, forKey: .inner)
        }
    }

    @Test func looksIntoNestedContainers() throws {
        _ = try JSON(parsing: Array(#"{"outer":{"inner":1}}"#.utf8)).decode(Manual.self)
        #expect(throws: StageError(#"unknown key; known are "inner""#, at: "outer.extra")) {
            try JSON(parsing: Array(#"{"outer":{"inner":1,"extra":2}}"#.utf8)).decode(Manual.self)
        }
    }
}
