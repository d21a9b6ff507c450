// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// Maps by name and by type, through the whole of it.
    @Suite struct MapTests {
        private static let chain = """
            chains:
              - hook: xdp:edge0
                stages:
                  - {name: tables, plugin: fixture-stage, config: {program: tables}}
            """

        private static let record = """
            {"gateway": "192.0.2.1", "server": "2001:db8::1", "addr": "10.0.0.1", "addr6": "::1", "name": "edge",
             "on": true, "mood": "MOOD_SAD", "size": "SIZE_HUGE", "low": 5, "high": 6, "balance": -16, "wide": 8589934591,
             "tiny": -128, "total": -9223372036854775808, "next": "0x0", "inner": 7, "both": {"word": 67305985},
             "left": 9, "grid": [[1, 2], [3, 4]]}
            """

        private static func dump(_ site: Site, _ map: String, limit: Int = 1000) throws -> MapDump {
            try site.decode(
                site.must("map", "dump", "xdp:edge0", "tables", map, "--limit", "\(limit)", "-o", "json"))
        }

        @Test func aStagesMapsAreListedDumpedAndSetByType() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Self.chain)
                let listed: StageMaps = try site.decode(site.must("-o", "json", "map", "list", "xdp:edge0", "tables"))
                let maps = Dictionary(uniqueKeysWithValues: listed.maps.map { ($0.name, $0) })
                #expect(maps["records"]?.keyType == "struct flow {source: __be32, port: __be16, kind: __u8}")
                #expect(maps["records"]?.entries == 0 && maps["records"]?.role == .configuration)
                #expect(maps["remembered"]?.role == .state && maps["remembered"]?.type == "lru_hash")
                #expect(maps["ring"]?.entries == nil && maps["ring"]?.maxEntries == 4096)
                #expect(maps["sluice_chain"]?.role == .manager && maps["sluice_chain"]?.frozen == true)
                #expect(maps[".rodata"]?.role == .data && maps[".rodata"]?.frozen == true)
                #expect(try site.must("map", "list", "xdp:edge0", "tables").contains("struct flow  struct record"))

                // What is set is what the program sees: it drops what it finds in `records`.
                #expect(try site.verdict(port: 7) == .pass)
                let key = #"{"source": "0.0.0.0", "port": 0, "kind": 117}"#
                let said = try site.must(
                    "map", "update", "xdp:edge0", "tables", "records", "--key", key, "--value", Self.record, "-m", "why"
                )
                #expect(said.contains("1 entry set, generation 1"))
                #expect(said.contains("a rollback brings its own back"))
                #expect(try site.verdict(port: 7) == .drop)
                let entry = try #require(try Self.dump(site, "records").entries.first)
                #expect(entry.key == ["source": 0, "port": 0, "kind": 117])
                guard case .object(let value)? = entry.value else { throw LabError("\(entry)") }
                #expect(value["gateway"] == "192.0.2.1" && value["mood"] == "MOOD_SAD" && value["balance"] == -16)
                #expect(value["addr"] == [10, 0, 0, 1] && value["name"] == "edge" && value["wide"] == 8_589_934_591)
                let last = try #require(try site.events().last)
                #expect(last.action == "map-update" && last.outcome == "done")
                #expect(last.message.contains(#"{"kind":117,"port":0,"source":"0.0.0.0"} = {"#))
                #expect(last.message.hasSuffix("; message: why"))
                #expect(last.author.contains("sluicectl map update xdp:edge0 tables records"))

                // A dump can be given back, and keys removed.
                let whole = try site.must("map", "dump", "xdp:edge0", "tables", "records", "-o", "json")
                try site.must("map", "delete", "xdp:edge0", "tables", "records", "--key", key)
                #expect(try site.verdict(port: 7) == .pass)
                try site.must("map", "update", "xdp:edge0", "tables", "records", "-f", "-", input: whole)
                #expect(try site.verdict(port: 7) == .drop)

                let constants = try #require(try Self.dump(site, ".rodata").entries.first?.value)
                guard case .object(let variables) = constants else { throw LabError("\(constants)") }
                #expect(variables["label"] == "unset" && variables["sluice_counting"] == 1)
            }
        }

        @Test func valuesOfEachProcessorAreTold() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                // Nothing but what is sent here may be counted: not what the client's kernel says of itself.
                try lab.ip(["link set client0 down"], netns: "client")
                try site.start()
                try site.apply(Self.chain)
                for _ in 0..<3 { _ = try site.verdict(port: 7) }
                let before = try Self.dump(site, "seen")
                #expect(before.entries.count == 2)
                #expect(before.entries[0].value == .integer(3))
                let cpus = before.entries[0].cpus ?? []
                #expect(cpus.contains { $0 != 0 })
                try site.must("map", "update", "xdp:edge0", "tables", "seen", "--key", "1", "--value", "5")
                let after = try Self.dump(site, "seen").entries[1]
                #expect(after.cpus == cpus.map { _ in 5 } && after.value == .integer(Int64(5 * cpus.count)))
            }
        }

        @Test func ofManyEntriesOnlySoManyAreShown() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Self.chain)
                let keys = (0..<700).map { #"{"key": \#($0), "value": \#($0 * 2)}"# }.joined(separator: ",")
                try site.must(
                    "map", "update", "xdp:edge0", "tables", "remembered", "--force", "-f", "-", input: "[\(keys)]")
                let all = try Self.dump(site, "remembered")
                #expect(all.entries.count == 700 && !all.map.more)
                #expect(Set(all.entries.map(\.key)).count == 700)
                #expect(
                    all.entries.allSatisfy { entry in
                        guard case .integer(let key) = entry.key else { return false }
                        return entry.value == .integer(key * 2)
                    })
                let some = try Self.dump(site, "remembered", limit: 10)
                #expect(some.entries.count == 10 && some.map.more)
                let text = try site.must("map", "dump", "xdp:edge0", "tables", "remembered", "--limit", "10")
                #expect(text.contains("there are more than these 10"))
            }
        }

        @Test func whatMustNotBeChangedIsNot() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Self.chain)
                let refusals: [(map: String, key: String, value: String, says: String)] = [
                    ("sluice_counters", "0", "{}", "the manager's"),
                    ("sluice_chain", "0", "0", "the manager's"),
                    (".rodata", "0", "{}", "it is frozen"),
                    ("remembered", "1", "2", "pass --force"),
                    ("records", "{}", "{}", #"key: member "source" (__be32) is missing"#),
                    ("raw", "1", "0x0001", "key: bytes[4]: expected 4 bytes in hexadecimal"),
                    ("seen", "2", "1", "an array has indices from 0 to 1; 0 of 1 entries were set"),
                    ("seen", "0", "-1", "value: -1 does not fit __u64, which is 0 to 18446744073709551615"),
                    ("nothing", "0", "0", #"the stage has no map "nothing"; it has: "#),
                ]
                for (map, key, value, says) in refusals {
                    let result = try site.ctl(
                        "map", "update", "xdp:edge0", "tables", map, "--key=\(key)", "--value=\(value)")
                    #expect(result.status == .exited(1))
                    #expect(result.errors.contains(says), "\(map): \(result.errors)")
                }
                #expect(
                    try site.events().count { $0.action == "map-update" && $0.outcome == "failed" } == refusals.count)
                // One bad entry of several: none is set.
                let mixed = #"[{"key": "0x00000001", "value": "0x0001"}, {"key": "0x00000002", "value": "0x00"}]"#
                let result = try site.ctl("map", "update", "xdp:edge0", "tables", "raw", "-f", "-", input: mixed)
                #expect(result.errors.contains("entries[1].value: bytes[2]: expected 2 bytes"), "\(result.errors)")
                #expect(try Self.dump(site, "raw").entries.isEmpty)
                let gone = try site.ctl("map", "delete", "xdp:edge0", "tables", "raw", "--key", "0x00000009")
                #expect(gone.errors.contains(#"the map has no key "0x00000009""#))
                #expect(try site.ctl("map", "dump", "xdp:edge0", "tables", "ring").errors.contains("a ringbuf has no"))
                #expect(
                    try site.ctl("map", "list", "xdp:edge0", "tables", "--generation", "9").errors
                        .contains("generation 9 is not in the kernel; kept are: 1"))
                try lab.check(["sh", "-c", "rm -r \(site.state)/artifacts/*"])
                #expect(
                    try site.ctl("map", "list", "xdp:edge0", "tables").errors.contains("cannot be read: open "))
            }
        }
    }
}
