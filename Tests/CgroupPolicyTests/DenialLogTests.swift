// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@testable import CgroupPolicy

@Suite struct DenialLogTests {
    /// A record as the program lays it out (`struct policy_report`).
    private func record(
        rule: UInt32 = 1, withheld: UInt32 = 0, process: UInt32 = 7, command: String = "curl", port: UInt16 = 443,
        address: IPAddress = "192.0.2.7", enforced: Bool = true, cookie: UInt64 = 0
    ) -> Bytes {
        var bytes = Bytes(number: UInt64(4711))
        bytes.append(cookie)
        for number in [rule, withheld, process, process, 33] { bytes.append(number) }
        for number in [port, 4000, 6] as [UInt16] { bytes.append(number) }
        bytes.append(bytes: [enforced ? 1 : 0, 0, 0, 0, 0, 0])
        bytes.append(bytes: address.mapped)
        bytes.append(bytes: Array(command.utf8))
        bytes.pad(to: 80)
        return bytes
    }

    private func log(_ kind: HookKind = .cgroupConnect4) -> DenialLog {
        let rules = Rules(otherwise: .deny, rules: [Rule("no-web", action: .deny)])
        let configuration = Configuration(mode: .enforce, connect: rules, ingress: rules)
        return DenialLog(configuration, in: context(kind))
    }

    private func take(_ log: inout DenialLog, _ records: [Bytes], lost: Int = 0, at time: Double = 0) {
        log.take(StageRecords(ring: "denials", generation: 1, records: records, lost: lost), at: time)
    }

    @Test func theSameThingIsToldOnceWithItsNumber() {
        var log = log()
        take(&log, [record(), record(withheld: 5), record(port: 80), record(enforced: false)])
        #expect(
            log.lines() == [
                "denied connect to 192.0.2.7:443 (tcp) 2 times by rule \"no-web\": pid 7 \"curl\" (uid 33, cgroup 4711); 5 "
                    + "more by this rule were not told one by one",
                "denied connect to 192.0.2.7:80 (tcp) by rule \"no-web\": pid 7 \"curl\" (uid 33, cgroup 4711)",
                "audit: would have denied connect to 192.0.2.7:443 (tcp) by rule \"no-web\": pid 7 \"curl\" (uid 33, cgroup 4711)",
            ])
        #expect(log.lines() == [])
        take(&log, [record(rule: 0, address: "2001:db8::1")])
        #expect(
            log.lines() == [
                "denied connect to [2001:db8::1]:443 (tcp) by default: pid 7 \"curl\" (uid 33, cgroup 4711)"
            ])
    }

    @Test func manyKindsAreToldAsANumber() {
        var log = log()
        take(&log, (1...5000).map { record(port: $0) }, lost: 3)
        let lines = log.lines()
        #expect(lines.count == 10)
        #expect(
            lines[8].hasPrefix("4992 more denials of 4088 kinds within a second; see `sluicectl stats cgroup-connect4:")
        )
        #expect(lines[9] == "3 reports of denials were lost on the way; the counters have all")
    }

    /// What a process calls itself is its own affair.
    @Test func aNameCannotForgeALine() {
        var log = log()
        take(&log, [record(command: "a\" (uid 0)\n\u{1b}[2J")])
        let line = log.lines()[0]
        #expect(line.contains("pid 7 \"a? (uid 0)??[2J\" (uid 33"), "\(line)")
    }

    @Test func ofAPacketItsSocketIsTold() {
        var log = log(.cgroupSkbIngress)
        take(&log, [record(process: 0, command: "", cookie: 12)])
        #expect(
            log.lines() == [
                "denied a packet from 192.0.2.7:443 to port 4000 (tcp) by rule \"no-web\": a socket of uid 33 (cookie 12, "
                    + "cgroup 4711); of a packet no process is known"
            ])
    }

    @Test func whatIsNoRecordIsNotTaken() {
        var log = log()
        take(&log, [Bytes([1, 2, 3]), Bytes()])
        #expect(log.lines() == [])
    }

    @Test func questionsAreAnswered() throws {
        var log = log()
        take(&log, [record(), record(), record(port: 80)], at: 1)
        take(&log, [record(process: 8, command: "wget")], at: 4)
        let top = try log.answer(["top": "denials"], at: 5)
        #expect(top.columns == ["rule", "destination", "protocol", "who", "reported", "seconds ago"])
        #expect(top.rows.count == 3)
        #expect(
            top.rows[0] == ["no-web", "192.0.2.7:443", "tcp", "pid 7 \"curl\" (uid 33, cgroup 4711)", 2, 4])
        let destinations = try log.answer(["top": "destinations", "limit": 1], at: 5)
        #expect(destinations.rows == [["192.0.2.7:443", "tcp", 3, 1]])
        #expect(try log.answer(["top": "processes"], at: 5).rows.count == 2)
        #expect(try log.answer(["top": "rules"], at: 5).rows == [["no-web", 4, 1]])
        #expect(throws: StageError.self) { try log.answer(["top": "colours"], at: 5) }
    }

    @Test func whatIsKeptIsBounded() throws {
        var log = log()
        for second in 0..<4 {
            take(&log, (1...4000).map { record(process: UInt32(second), port: $0) }, at: Double(second))
            _ = log.lines()
        }
        let top = try log.answer(["top": "denials", "limit": 1000], at: 9)
        #expect(top.rows.count == 1000)
        let processes = try log.answer(["top": "processes"], at: 9).rows
        #expect(processes.count <= 3 && processes[0][0] == "pid 3 \"curl\" (uid 33, cgroup 4711)", "\(processes)")
    }
}
