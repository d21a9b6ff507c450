// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@testable import VolumetricDoS

@Suite("Configuration of auto mode")
struct AutoConfigurationTests {
    @Test func allMayBeLeftOut() throws {
        let configuration = try (["auto": [:]] as JSON).decode(Configuration1_1.self)
        #expect(configuration.auto == AutoConfiguration())
        #expect(try ([:] as JSON).decode(Configuration1_1.self).auto == nil)
        // Version 1.0 has no such thing.
        #expect(throws: StageError.self) { try (["auto": [:]] as JSON).decode(Configuration.self) }
    }

    @Test func readsWhatItWrites() throws {
        let auto = AutoConfiguration(packetsPerSecond: 50_000, mode: .install, ttl: 600, rules: 4, learn: 3600)
        let json = try JSON(encoding: auto)
        #expect(json["ttl"] == "10m")
        #expect(json["learn"] == "1h")
        #expect(try json.decode(AutoConfiguration.self) == auto)
        #expect(try (["ttl": 90] as JSON).decode(AutoConfiguration.self).ttl == 90)
    }

    static let wrong: [(JSON, path: String, word: String)] = [
        (["packets-per-second": 0], "packets-per-second", "1 to"),
        (["packets-per-second": -1], "packets-per-second", ""),
        (["mode": "on"], "mode", "propose"), (["ttl": "1s"], "ttl", "10s to 1d"), (["ttl": "2d"], "ttl", "2d"),
        (["ttl": "ten"], "ttl", "such as"), (["ttl": "99999999999999999999h"], "ttl", "such as"),
        (["ttl": ""], "ttl", "such as"), (["rules": 0], "rules", "1 to 128"), (["rules": 129], "rules", "129"),
        (["learn": "5s"], "learn", "10s to 1h"), (["packet-per-second": 1], "packet-per-second", ""),
    ]

    @Test(arguments: wrong)
    func saysWhatIsWrong(json: JSON, path: String, word: String) throws {
        let error = #expect(throws: StageError.self) {
            try (["auto": json] as JSON).decode(Configuration1_1.self)
        }
        #expect(error?.path == "auto.\(path)")
        #expect(error?.message.contains(word) == true, "\(error.map { "\($0)" } ?? "")")
    }
}
