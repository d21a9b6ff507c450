// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing
import UDPRateLimit

@Suite("Configuration")
struct ConfigurationTests {
    private func configuration(_ text: String) throws -> Configuration {
        try JSON(parsing: Array(text.utf8)).decode(Configuration.self)
    }

    /// What is wrong with a configuration, in the words that the operator gets.
    private func refusal(_ text: String) -> String {
        do {
            _ = try configuration(text).plan(in: context())
            return "nothing"
        } catch {
            return "\(error)"
        }
    }

    private func policy(_ more: String) -> String {
        #"{"policies": [{"name": "a", "destinations": ["192.0.2.0/24"], "per-address": {"packets-per-second": 9}"#
            + (more.isEmpty ? "" : ", \(more)") + "}]}"
    }

    @Test func readsEverything() throws {
        let text = #"""
            { "ports": [53, "8000-8010"], "buckets": 1024, "when-full": "drop", "policies": [
              { "name": "dns", "destinations": ["192.0.2.0/24", "2001:db8::/112", "198.51.100.7"],
                "per-address": { "packets-per-second": 1000, "burst": 2000 },
                "per-prefix": { "packets-per-second": 50000 },
                "per-source": { "packets-per-second": 100, "burst": 5, "v4": 20, "v6": 56, "from": "25%" },
                "action": "mark", "mark": 7 },
              { "name": "rest", "destinations": ["0.0.0.0/0", "::/0"], "buckets": "shared", "action": "count",
                "per-source": { "packets-per-second": 1 } } ] }
            """#
        let expected = Configuration(
            ports: PortSet([53...53, 8000...8010]),
            policies: [
                Policy(
                    name: "dns", destinations: try prefixes("192.0.2.0/24", "2001:db8::/112", "198.51.100.7/32"),
                    perAddress: Rate(packetsPerSecond: 1000, burst: 2000),
                    perPrefix: Rate(packetsPerSecond: 50000, burst: 50000),
                    perSource: SourceRate(Rate(packetsPerSecond: 100, burst: 5), v4: 20, v6: 56, from: 25),
                    action: .mark, mark: 7),
                Policy(
                    name: "rest", destinations: try prefixes("0.0.0.0/0", "::/0"),
                    perSource: SourceRate(Rate(packetsPerSecond: 1), v4: 24, v6: 48, from: 50), buckets: .shared,
                    action: .count),
            ], buckets: 1024, whenFull: .drop)
        #expect(try configuration(text) == expected)
        #expect(try JSON(encoding: expected).decode(Configuration.self) == expected)
    }

    @Test(
        arguments: [
            ("{}", "policies: required, but missing"),
            (#"{"policies": []}"#, "policies: has 0 policies; 1 to 1024 are possible"),
            (
                #"{"policies": [{"name": "a", "destinations": ["192.0.2.1"]}]}"#,
                "policies[0]: has no limit; expected per-address, per-prefix or per-source"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": [], "per-address": {"packets-per-second": 1}}]}"#,
                "policies[0].destinations: expected addresses or prefixes that the policy is for"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["192.0.2.1"], "per-address": {"packets-per-second": 0}}]}"#,
                "policies[0].per-address.packets-per-second: 0: expected 1 to 10000000"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["192.0.2.1"], "per-prefix": {"packets-per-second": 10000001}}]}"#,
                "policies[0].per-prefix.packets-per-second: 10000001: expected 1 to 10000000"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["192.0.2.1"], "per-prefix": {"packets-per-second": 5, "burst": 5001}}]}"#,
                "policies[0].per-prefix.burst: 5001: expected 1 to 5000, which is what comes in 1000 seconds"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["192.0.2.1/24"], "per-address": {"packets-per-second": 1}}]}"#,
                #"policies[0].destinations[0]: "192.0.2.1/24": has bits set behind its length; the prefix is 192.0.2.0/24"#
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["2001:db8::/64"], "per-address": {"packets-per-second": 1}}]}"#,
                "policies[0].destinations[0]: 2001:db8::/64 has 2^64 addresses; at most 1048576 are possible of addresses "
                    + "with buckets of their own: list what is served, or say `buckets: shared`"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["10.0.0.0/12", "192.0.2.1"], "per-address": {"packets-per-second": 1}}]}"#,
                "policies[0].destinations[1]: with 192.0.2.1/32 it is 1048577 buckets; at most 1048576 are possible of "
                    + "addresses with buckets of their own: list what is served, or say `buckets: shared`"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["192.0.2.1", "192.0.2.1"], "per-address": {"packets-per-second": 1}}]}"#,
                "policies[0].destinations[1]: 192.0.2.1/32 is there twice"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["10.0.0.0/24", "192.0.2.1", "10.0.0.9"], "per-address": {"packets-per-second": 1}}]}"#,
                "policies[0].destinations[2]: 10.0.0.9/32 is in 10.0.0.0/24 of the same policy; leave one of them out"
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["192.0.2.1"], "per-address": {"packets-per-second": 1}}, {"name": "b", "destinations": ["192.0.2.1"], "per-address": {"packets-per-second": 2}}]}"#,
                #"policies[1].destinations[0]: 192.0.2.1/32 is a destination of policy "a" too: it can have one policy only"#
            ),
            (
                #"{"policies": [{"name": "a", "destinations": ["192.0.2.1"], "per-address": {"packets-per-second": 1}}, {"name": "a", "destinations": ["192.0.2.2"], "per-address": {"packets-per-second": 2}}]}"#,
                #"policies[1].name: "a" is another policy's name"#
            ),
        ])
    func refusesWhatCannotWork(text: String, message: String) {
        #expect(refusal(text) == message)
    }

    @Test func refusesWhatAPolicyCannotBe() {
        #expect(
            refusal(policy(#""action": "mark""#)) == "policies[0].mark: is missing; the action is to mark")
        #expect(
            refusal(policy(#""mark": 3"#)) == "policies[0].mark: only the action mark has one; the action is drop")
        #expect(
            refusal(policy(#""action": "mark", "mark": 0"#))
                == "policies[0].mark: 0 is what packets without a mark have; expected another")
        #expect(
            refusal(policy(#""per-source": {"packets-per-second": 1, "v4": 0}"#))
                == "policies[0].per-source.v4: 0: a prefix length of IPv4 is here 1 to 32")
        #expect(
            refusal(policy(#""per-source": {"packets-per-second": 1, "from": 50}"#))
                == #"policies[0].per-source.from: "50": expected a whole part of 0% to 100%"#)
        #expect(refusal(policy(#""per-adress": 1"#)).hasSuffix(#"unknown key; did you mean "per-address"?"#))
        #expect(
            refusal(#"{"ports": ["9-8"], "policies": []}"#)
                == #"ports: "9-8": expected a port such as 53, or a range such as 8000-8010"#)
        #expect(
            refusal(#"{"buckets": 1000, "policies": []}"#) == "buckets: 1000: expected a power of two of 64 to 16777216"
        )
        #expect(refusal(policy("")) == "nothing")
    }

    /// An address may have another policy than those around it.
    @Test func takesPoliciesWithinEachOther() throws {
        let rate = Rate(packetsPerSecond: 5)
        let plan = try Configuration(policies: [
            Policy(name: "net", destinations: try prefixes("10.0.0.0/16"), perAddress: rate),
            Policy(name: "one", destinations: try prefixes("10.0.0.9"), perAddress: rate),
            Policy(name: "all", destinations: try prefixes("0.0.0.0/0"), perAddress: rate, buckets: .shared),
        ]).plan(in: context())
        #expect(plan.maps["prefixes_v4"]?.entries.count == 2)
        #expect(plan.maps["addresses_v4"]?.entries.count == 1)
        // 65,537 addresses, a power of two of places.
        #expect(plan.maps["own_buckets"]?.maxEntries == 131_072)
    }

    @Test func takesTenThousandPrefixes() throws {
        let all = (0..<10_000).map {
            IPPrefix(IPAddress(bytes: [10, UInt8($0 / 256), UInt8($0 % 256), 0]), length: 26)
        }
        let policy = Policy(
            name: "many", destinations: all, perAddress: Rate(packetsPerSecond: 5),
            perPrefix: Rate(packetsPerSecond: 50))
        let plan = try Configuration(policies: [policy]).plan(in: context())
        #expect(plan.maps["prefixes_v4"]?.entries.count == 10_000)
        #expect(plan.maps["own_buckets"]?.maxEntries == 1 << 20)
        #expect(
            refusal(
                #"{"policies": [{"name": "a", "per-address": {"packets-per-second": 1}, "destinations": ["#
                    + (0...65536).map { "\"10.\($0 / 65536).\($0 / 256 % 256).\($0 % 256)\"" }.joined(separator: ", ")
                    + "]}]}")
                == "policies: have 65537 destinations; at most 65536 are possible: list prefixes, in which each address has "
                + "its bucket too")
    }

    /// Whoever lists 30,000 addresses one after the other need not say that they are prefixes.
    @Test func listedAddressesBecomePrefixes() throws {
        let all = (0..<30_000).map {
            IPPrefix(IPAddress(bytes: [10, 0, UInt8($0 / 256), UInt8($0 % 256)]), length: 32)
        }
        let policy = Policy(name: "many", destinations: all.reversed(), perAddress: Rate(packetsPerSecond: 5))
        let plan = try Configuration(policies: [policy]).plan(in: context())
        // 30,000 is 111010100110000 in binary.
        #expect(plan.maps["prefixes_v4"]?.entries.count == 7)
        #expect(plan.maps["addresses_v4"]?.entries == [])
        #expect(plan.maps["own_buckets"]?.maxEntries == 32_768)
    }

    @Test func hasAnObjectForEachHook() throws {
        let configuration = Configuration(policies: [
            Policy(name: "a", destinations: try prefixes("10.0.0.1"), perAddress: Rate(packetsPerSecond: 5))
        ])
        #expect(try configuration.plan(in: context(.socketFilter)).object == "udp_ratelimit_socket.bpf.o")
        #expect(try configuration.plan(in: context(.cgroupSkbIngress)).object == "udp_ratelimit_cgroup.bpf.o")
    }
}
