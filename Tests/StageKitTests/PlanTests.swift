// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@Suite struct PlanTests {
    @Test func survivesTheWire() throws {
        var key = Bytes()
        key.append(UInt8(1))
        key.pad(to: 4)
        key.append(bigEndian: UInt16(80))
        let plan = StagePlan(
            object: "a.bpf.o", program: "a", frags: false,
            constants: [
                "low": .integer(-1), "high": .unsigned(.max), "on": .boolean(true), "struct": .bytes(Bytes([0, 255])),
            ],
            maps: ["m": MapPlan(maxEntries: 7, entries: [MapEntry(key: key, value: Bytes([1]))], freeze: true)],
            verdicts: [.next, .drop], samples: [Sample(name: "s", packet: Bytes([1, 2]), expect: .drop)],
            counters: [
                CounterTable(name: "rules", map: "c", columns: ["packets", "last"], times: ["last"], rows: ["one"])
            ], live: ["m"], summary: ["x"], ring: "r", runs: false)
        let json = try JSON(encoding: plan)
        #expect(json["maps"]?["m"]?["entries"] == [["key": "010000000050", "value": "01"]])
        #expect(try JSON(parsing: json.serialized()).decode(StagePlan.self) == plan)
    }

    @Test func fillsInWhatIsLeftOut() throws {
        let text = #"{"object":"a.bpf.o","program":"a","verdicts":["next"],"maps":{"m":{}}}"#
        let plan = try JSON(parsing: Array(text.utf8)).decode(StagePlan.self)
        #expect(
            plan == StagePlan(object: "a.bpf.o", program: "a", frags: false, maps: ["m": MapPlan()], verdicts: [.next]))
    }

    @Test(arguments: [
        (#""constants":{"c":"7"}"#, "constants.c", #"expected an integer, true, false or {"bytes": "<hexadecimal>"}"#),
        (
            #""maps":{"m":{"entries":[{"key":"0","value":""}]}}"#, "maps.m.entries[0].key",
            "expected an even number of hexadecimal digits"
        ),
        (#""maps":{"m":{"max_entries":1}}"#, "maps.m.max_entries", #"unknown key; did you mean "maxEntries"?"#),
        (
            #""samples":[{"name":"a","packet":"","expect":"explode"}]"#, "samples[0].expect",
            #"the string "explode" is not one of "aborted", "drop", "pass", "tx", "redirect", "next""#
        ),
    ])
    func refuses(member: String, path: String, message: String) throws {
        let text = #"{"object":"a.bpf.o","program":"a","verdicts":["next"],\#(member)}"#
        let json = try JSON(parsing: Array(text.utf8))
        #expect(throws: StageError(message, at: path)) { try json.decode(StagePlan.self) }
    }
}
