// SPDX-License-Identifier: Apache-2.0

import StageKit
import Synchronization
import Testing

@testable import L4LB

@Suite("Health")
struct HealthTests {
    fileprivate static let check: HealthCheck = {
        var check = HealthCheck(.tcp, port: 80)
        check.interval = Interval(milliseconds: 1000)
        check.dampening = Interval(milliseconds: 60_000)
        return check
    }()

    /// When the state changes with a result each second: `.` is well, `x` is not.
    private func changes(_ results: String) -> [String] {
        var health = ServerHealth(Self.check)
        return results.enumerated().compactMap { second, result in
            health.take(isWell: result == ".", at: .seconds(second)) ? "\(second) \(health.state)" : nil
        }
    }

    @Test func risesAndFalls() {
        #expect(changes("..") == ["1 up"])
        #expect(changes("xxx") == ["2 down"])
        #expect(changes("..xx.xx.xxx") == ["1 up", "10 down"])
        #expect(changes(".x.x.x.xx..") == ["10 up"])
        #expect(changes("xxx.x.x..") == ["2 down", "8 up"])
    }

    /// Each time that it goes down again soon it must be well for twice as long: 2 s by its results, then 4 s, 8 s.
    @Test func aFlappingServerStaysDownLonger() {
        let flap = String(repeating: ".", count: 10) + "xxx"
        let flapping = "..xxx" + flap + flap + String(repeating: ".", count: 12)
        #expect(changes(flapping) == ["1 up", "4 down", "6 up", "17 down", "22 up", "30 down", "39 up"])
        // Well for long: forgiven.
        let calm = "..xxx" + flap + String(repeating: ".", count: 70) + "xxx.."
        #expect(changes(calm) == ["1 up", "4 down", "6 up", "17 down", "22 up", "90 down", "92 up"])
    }

    /// A ledger, and how late it is.
    private struct Book {
        var ledger: HealthLedger
        var time = Duration.zero

        init(_ pools: [String: [String]]) {
            ledger = HealthLedger(
                pools.sorted { $0.key < $1.key }.map { Pool(name: $0.key, servers: $0.value, check: HealthTests.check) }
            )
        }

        /// Takes results, a second after the last ones, and does what follows.
        mutating func step(_ notes: (String, String, ServerHealth.State)...) -> HealthLedger.Step {
            time += .seconds(1)
            for (server, pool, state) in notes {
                ledger.note(server, of: pool, isWell: state == .up, state, at: time)
            }
            let step = ledger.step()
            ledger.done(step)
            return step
        }
    }

    @Test func aDeadPoolKeepsWhatIsLeftOfIt() {
        var book = Book(["web": ["a", "b"], "dns": ["b", "c"]])
        #expect(book.step(("a", "web", .up), ("c", "dns", .up)) == .init(up: ["a", "c"]))
        #expect(book.step(("a", "web", .down), ("b", "web", .up), ("b", "dns", .unknown)).isEmpty)
        // It is known since then that b is well.
        #expect(book.step(("b", "web", .up), ("b", "dns", .up)) == .init(up: ["b"], down: ["a"]))
        #expect(book.step().isEmpty)
        // With b all of web is down: b stays, in dns too.
        #expect(book.step(("b", "web", .down)) == .init(died: ["web"]))
        #expect(book.step(("b", "dns", .up)).isEmpty)
        // And as soon as a is back, b may go.
        #expect(book.step(("a", "web", .up)) == .init(up: ["a"], down: ["b"], revived: ["web"]))
        // One of its pools is enough to take a server down, and all must find it up.
        #expect(book.step(("b", "web", .up)) == .init(up: ["b"]))
        #expect(book.step(("b", "dns", .unknown)).isEmpty)
    }

    /// One after the other, as checks find them; what was wrong was so for all before the first was found.
    @Test func allDownAtOnceChangesNothing() {
        var book = Book(["web": ["a", "b", "c"]])
        _ = book.step(("a", "web", .up), ("b", "web", .up), ("c", "web", .up))
        #expect(book.step(("a", "web", .down)).isEmpty)
        #expect(book.step(("b", "web", .down)).isEmpty)
        #expect(book.step(("c", "web", .down)) == .init(died: ["web"]))
        // From the start: a check that nobody can pass.
        var fresh = Book(["web": ["a", "b"]])
        #expect(fresh.step(("a", "web", .down)).isEmpty)
        #expect(fresh.step(("b", "web", .down)) == .init(died: ["web"]))
    }

    @Test func aQueryIsRecognisedByItsAnswer() {
        let query = DNSQuery(id: 0x1234, name: "www.example.org")
        #expect(query.bytes.count == 12 + 17 + 4)
        var answer = query.bytes
        answer[2] = 0x81
        answer[3] = 0x80
        #expect(query.fault(of: answer) == nil)
        #expect(query.fault(of: query.bytes) == "answers something else")
        #expect(DNSQuery(id: 0x1234, name: "example.org").fault(of: answer) == "answers something else")
        answer[3] = 0x82
        #expect(query.fault(of: answer) == "answers with status 2")
        #expect(query.fault(of: Array(answer.prefix(11))) == "answers something else")
        #expect(DNSQuery(id: 1, name: ".").bytes.suffix(5) == [0, 0, 1, 0, 1])
        #expect(DNSQuery.isName("a.b.") && DNSQuery.isName("."))
        #expect(
            !DNSQuery.isName("a..b") && !DNSQuery.isName(String(repeating: "a", count: 64)) && !DNSQuery.isName("a b"))
    }
}

/// What the stage was told and what was logged.
private final class Told: Sendable {
    let changes = Mutex<[JSON]>([])
    let lines = Mutex<[String]>([])

    var effects: HealthWatch.Effects {
        HealthWatch.Effects(
            change: { request, _ in self.changes.withLock { $0.append(request) } },
            log: { line in self.lines.withLock { $0.append(line) } })
    }

    /// Whether something became so within five seconds.
    func becomes(_ condition: (Told) -> Bool) async throws -> Bool {
        for _ in 0..<500 {
            if condition(self) { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}

@Suite("Health watch")
struct HealthWatchTests {
    private func configuration(servers: Int) -> Configuration {
        var configuration = Configuration.sample(servers: servers)
        var check = HealthCheck(.tcp, port: 80)
        check.interval = Interval(milliseconds: 100)
        check.timeout = Interval(milliseconds: 100)
        configuration.pools[0].check = check
        return configuration
    }

    @Test(.timeLimit(.minutes(1))) func tellsWhatItFinds() async throws {
        let told = Told()
        let dead = Mutex<Set<String>>(["edge2"])
        let watch = HealthWatch(configuration(servers: 3), effects: told.effects) { target, _ in
            dead.withLock { $0.contains(target.server) } ? "does not answer" : nil
        }
        let running = Task { await watch.run() }
        let isDown: JSON = ["health": ["up": [], "down": ["edge2"]]]
        func wasTold(_ state: String, _ server: String) -> Bool {
            told.changes.withLock { changes in
                changes.contains { change in
                    if case .array(let names)? = change["health"]?[state] {
                        names.contains(.string(server))
                    } else {
                        false
                    }
                }
            }
        }
        #expect(try await told.becomes { _ in wasTold("down", "edge2") }, "\(isDown)")
        #expect(try await told.becomes { _ in wasTold("up", "edge1") && wasTold("up", "edge3") })
        #expect(told.lines.withLock { $0.contains(#"server "edge2" of pool "web" is down: does not answer"#) })
        // All of them: nothing but words.
        let before = told.changes.withLock { $0.count }
        dead.withLock { $0 = ["edge1", "edge2", "edge3"] }
        #expect(
            try await told.becomes { told in told.lines.withLock { $0.contains { $0.hasPrefix("ALL SERVERS OF POOL") } }
            })
        // One may have been told before all were known to be down.
        #expect(
            told.changes.withLock { $0.count } <= before + 2 && !(wasTold("down", "edge1") && wasTold("down", "edge3")))
        dead.withLock { $0 = [] }
        #expect(try await told.becomes { _ in wasTold("up", "edge2") })
        var table = try await watch.answer(["top": "checks"])
        for _ in 0..<500 where !table.rows.allSatisfy({ $0[3] == "up" && $0[5] == .null }) {
            try await Task.sleep(for: .milliseconds(10))
            table = try await watch.answer(["top": "checks"])
        }
        #expect(table.rows.count == 3 && table.rows.allSatisfy { $0[3] == "up" && $0[5] == .null })
        await #expect(throws: StageError.self) { try await watch.answer(["top": "sources"]) }
        running.cancel()
        await running.value
    }

    /// As many servers as there are slots do not answer: those that do are checked as often as ever.
    @Test(.timeLimit(.minutes(1))) func theDeadHoldNobodyUp() async throws {
        let told = Told()
        let checked = Mutex<[String: Int]>([:])
        let watch = HealthWatch(configuration(servers: 100), effects: told.effects) { target, _ in
            checked.withLock { $0[target.server, default: 0] += 1 }
            guard target.server != "edge1" else { return nil }
            try? await Task.sleep(for: .seconds(1))
            return "does not answer"
        }
        let running = Task { await watch.run() }
        // All suspects are known after their first check: from then on they have half of the slots.
        try await Task.sleep(for: .seconds(4))
        let before = checked.withLock { $0["edge1"] ?? 0 }
        try await Task.sleep(for: .seconds(2))
        #expect(checked.withLock { $0["edge1"] ?? 0 } - before >= 10)
        running.cancel()
        await running.value
    }
}
