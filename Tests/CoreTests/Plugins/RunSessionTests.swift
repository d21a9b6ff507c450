// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import Glibc
import StageKit
import Synchronization
import Testing

@testable import SluiceCore

@Suite(.serialized) struct RunSessionTests {
    private let folder = PluginsFolder()

    /// What a session logged and updated, one line each.
    private final class Record: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }

        /// Waits until some line has `text`, up to ten seconds.
        func wait(for text: String, times: Int = 1) async -> Bool {
            for _ in 0..<1000 {
                if all.count(where: { $0.contains(text) }) >= times { return true }
                try? await Task.sleep(for: .milliseconds(10))
            }
            return false
        }
    }

    private func session(_ script: String, _ record: Record) -> RunSession {
        RunSession(
            plugin: folder.install(script: "#!/bin/sh\n\(script)\n"), configuration: ["limit": 1],
            context: PlanContext(hook: "xdp:eth0", stage: "probe"), generation: 3, runner: folder.runner(),
            restarts: .init(first: .milliseconds(20), longest: .milliseconds(80)), patience: .milliseconds(300),
            log: { record.add("log \($0)") },
            services: .init(
                update: { map, entries in
                    guard map == "table" else { throw StageError("no map \"\(map)\"") }
                    record.add("update \(entries.map { "\($0.key.hex)=\($0.value.hex)" })")
                },
                change: { request, reason in
                    record.add("change \(request) for \(reason)")
                    guard reason != "slow" else {
                        try await Task.sleep(for: .seconds(60))
                        return []
                    }
                    guard request["add"] != nil else { throw StageError("nothing to add", at: "add") }
                    return ["added it"]
                }, report: { record.add("report \($0)") }))
    }

    /// Repeats what it is told, and sends an update for each generation.
    private let echo = #"""
        read -r request
        say() { printf '{"sluice":1,"event":"log","message":"%s"}\n' "$1"; }
        case $request in *'"method":"run"'*'"limit":1'*) say started ;; esac
        while read -r line; do
            event=${line#*'"event":"'}
            event=${event%%'"'*}
            generation=${line#*'"generation":'}
            generation=${generation%%[!0-9]*}
            case $event in
            stop) say stopping; echo '{"sluice":1,"id":1,"result":{}}'; exit ;;
            map-updated) case $line in *'"error"'*) say refused ;; *) say applied ;; esac ;;
            flipped) echo '{"sluice":1,"event":"map-update","id":2,"map":"wrong","entries":[]}' ;;
            *) printf '{"sluice":1,"event":"map-update","id":1,"map":"table","entries":[{"key":"%02x","value":"01"}]}\n' \
                "$generation" ;;
            esac
        done
        """#

    @Test func passesNoticesAndUpdates() async throws {
        let record = Record()
        let session = session(echo, record)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: "log applied"))
        session.notify(.rolledBack(generation: 2))
        #expect(await record.wait(for: "log applied", times: 2))
        session.notify(.flipped(generation: 4))
        #expect(await record.wait(for: "log refused"))
        session.stop()
        await end
        #expect(
            record.all == [
                "log started", "update [\"03=01\"]", "log applied", "update [\"02=01\"]", "log applied",
                "log its map update 2 was refused: no map \"wrong\"", "log refused", "log stopping",
            ])
        #expect(await folder.nothingRemains())
    }

    @Test func reportsAreBoundedAndWhatIsLeftOutIsCounted() async throws {
        let record = Record()
        let session = session(
            #"""
            read -r request; read -r live
            printf '{"sluice":1,"event":"report","message":"one\\u0007\\nline"}\n'
            number=0
            while [ $number -lt 500 ]; do
                printf '{"sluice":1,"event":"report","message":"%s"}\n' $number
                number=$((number + 1))
            done
            sleep 0.3
            printf '{"sluice":1,"event":"report","message":"last"}\n'
            while read -r line; do case $line in *stop*) exit ;; esac; done
            """#, record)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: "report last"))
        session.stop()
        await end
        let reports = record.all.filter { $0.hasPrefix("report") }
        let first = try #require(reports.first)
        #expect(first.hasPrefix("report one") && !first.contains("\n") && !first.contains("\u{7}"), "\(record.all)")
        let told = reports.count { Int($0.dropFirst("report ".count)) != nil }
        #expect((49...80).contains(told), "\(told)")
        let leftOut = reports.compactMap { line in
            line.hasSuffix(" reports were left out, as there were too many") ? Int(line.split(separator: " ")[1]) : nil
        }
        #expect(leftOut.reduce(0, +) + told == 500)
    }

    @Test func startsAgainWithTheLiveGeneration() async throws {
        let record = Record()
        let session = session(
            #"""
            read -r request; read -r live
            printf '{"sluice":1,"event":"log","message":"%s"}\n' "$(echo "$live" | tr -d '"')"
            read -r next
            exit 3
            """#, record)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: "generation:3"))
        session.notify(.flipped(generation: 9))
        #expect(await record.wait(for: "log it ended: exited(3); starting it again in 0.02 seconds"))
        #expect(await record.wait(for: "event:live,generation:9"))
        session.stop()
        await end
    }

    @Test func waitsLongerAfterEachCrash() async throws {
        let record = Record()
        let session = session("echo 'no luck' >&2; exit 1", record)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: "starting it again in 0.08 seconds", times: 2))
        session.stop()
        await end
        #expect(record.all.contains("log no luck"))
        let waits = record.all.filter { $0.contains("starting") }.prefix(4)
        #expect(waits.map { $0.split(separator: " ").dropLast().last } == ["0.02", "0.04", "0.08", "0.08"])
    }

    @Test(arguments: [
        ("echo nonsense; sleep 100", "not valid JSON"),
        (
            #"echo '{"sluice":1,"event":"map-update","id":1,"map":"table"}'; sleep 100"#,
            "entries: required, but missing"
        ),
        ("tr '\\0' x < /dev/zero", "a line is longer than 1048576 bytes"),
        (#"echo '{"sluice":1,"id":1,"error":{"message":"tired"}}'; sleep 100"#, "it ended its run: tired"),
    ])
    func killsWhatBreaksTheProtocol(script: String, reason: String) async throws {
        let record = Record()
        let session = session(script, record)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: reason))
        session.stop()
        await end
        #expect(await folder.nothingRemains())
    }

    /// Says what records it gets and asks for a change for each; answers one question, refuses others, keeps silent to one.
    private let listener = #"""
        read -r request
        say() { printf '{"sluice":1,"event":"log","message":"%s"}\n' "$1"; }
        while read -r line; do
            event=${line#*'"event":"'}
            event=${event%%'"'*}
            id=${line#*'"id":'}
            id=${id%%[!0-9]*}
            case $event in
            stop) exit ;;
            records)
                say "$(echo "$line" | tr -d '"')"
                case $line in *'"ff"'*) key=add ;; *) key=drop ;; esac
                printf '{"sluice":1,"event":"change","id":%d,"request":{"%s":7},"reason":"it came"}\n' 5 $key
                ;;
            changed) say "$(echo "$line" | tr -d '"')" ;;
            ask)
                case $line in
                *'"silence"'*) continue ;;
                *'"slow"'*)
                    echo '{"sluice":1,"event":"change","id":6,"request":{},"reason":"slow"}'
                    answer='"table":{"columns":["a","b"],"rows":[["x",1],["y",null]],"notes":["n"]}'
                    ;;
                *'"bad"'*) answer='"table":{"columns":["a"],"rows":[["x",1]]}' ;;
                *'"crash"'*) kill -9 $$ ;;
                *) answer='"error":{"message":"not that","path":"top"}' ;;
                esac
                printf '{"sluice":1,"event":"answer","id":%d,%s}\n' "$id" "$answer"
                ;;
            esac
        done
        """#

    private func pass(_ bytes: [UInt8], to session: RunSession, of generation: Int = 3) {
        bytes.withUnsafeBytes { session.pass($0, from: "ring", of: generation) }
    }

    @Test func passesRecordsAndMakesChanges() async throws {
        let record = Record()
        let session = session(listener, record)
        pass([0xff, 1], to: session)
        pass([0xff], to: session)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: "log {event:records,generation:3,lost:0,records:[ff01,ff],ring:ring,sluice:1}"))
        #expect(await record.wait(for: #"change {"add":7} for it came"#))
        #expect(await record.wait(for: "log {event:changed,id:5,sluice:1,summary:[added it]}"))
        // The records of another generation are another event.
        pass([0], to: session)
        pass([0], to: session, of: 4)
        #expect(await record.wait(for: "generation:4,lost:0,records:[00]"))
        #expect(await record.wait(for: "log its change 5 was refused: add: nothing to add", times: 2))
        #expect(await record.wait(for: "log {error:{message:nothing to add,path:add},event:changed,id:5,sluice:1}"))
        session.stop()
        await end
    }

    @Test func questionsAreAnsweredInTime() async throws {
        let record = Record()
        let session = session(listener, record)
        async let end: Void = session.supervise()
        func refusal(_ question: JSON) async -> String {
            do {
                return "answered: \(try await session.ask(question))"
            } catch {
                return "\(error)"
            }
        }
        #expect(await refusal("records") == "top: not that")
        #expect(await refusal("silence") == "the plugin gave no answer within 0.3 seconds")
        #expect(await refusal("bad").hasPrefix("the plugin's answer is malformed: rows[0]: 2 cells, but there"))
        // Not even a change that takes its time is in the way of an answer.
        for _ in 0..<2 {
            #expect(
                try await session.ask("slow")
                    == StageTable(columns: ["a", "b"], rows: [["x", 1], ["y", nil]], notes: ["n"]))
        }
        // Many that ask at once do not make the manager grow.
        let answers = await withTaskGroup(of: String.self) { group in
            for _ in 0..<40 { group.addTask { await refusal("silence") } }
            return await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        }
        #expect(answers["16 questions wait for an answer already", default: 0] >= 1)
        #expect(answers["the plugin gave no answer within 0.3 seconds", default: 0] >= 16)
        #expect(await refusal("crash").hasPrefix("the plugin ended before it had answered"))
        #expect(await refusal("records").contains("it is started again"))
        session.stop()
        await end
        #expect(await folder.nothingRemains())
    }

    @Test func whoDoesNotReadLosesRecordsAndHearsSo() async throws {
        let record = Record()
        let session = session(
            #"""
            read -r request; read -r live
            echo '{"sluice":1,"event":"log","message":"asleep"}'
            while [ ! -e wake ]; do sleep 0.05; done
            while read -r line; do
                case $line in *'"stop"'*) exit ;; esac
                rest=${line#*'"lost":'}
                commas=$(printf '%s' "${line#*'"records":'}" | tr -cd , | wc -c)
                printf '{"sluice":1,"event":"log","message":"got %d %d"}\n' $((commas - 1)) "${rest%%,*}"
            done
            """#, record)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: "asleep"))
        let sent = 100_000
        for number in 0..<sent { pass(bytes(of: UInt64(number)), to: session) }
        try Data().write(to: URL(fileURLWithPath: "\(folder.path)/probe/1.0/wake"))
        var (got, lost) = (0, 0)
        for _ in 0..<1000 where got + lost != sent {
            try await Task.sleep(for: .milliseconds(10))
            let words = record.all.compactMap { $0.hasPrefix("log got ") ? $0.split(separator: " ") : nil }
            got = words.reduce(0) { $0 + Int($1[2])! }
            lost = words.reduce(0) { $0 + Int($1[3])! }
        }
        #expect(got + lost == sent)
        // What waited in the manager, in the pipe and on its way there.
        #expect((4096...10_000).contains(got))
        session.stop()
        await end
    }

    @Test func whoDoesNotReadIsStoppedAllTheSame() async throws {
        let record = Record()
        let session = session("echo up >&2; sleep 1000", record)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: "log up"))
        for _ in 0..<10_000 { pass([UInt8](repeating: 7, count: 128), to: session) }
        session.stop()
        await end
        #expect(await folder.nothingRemains())
    }

    @Test func whoAsksAndNeverListensIsKilled() async throws {
        let record = Record()
        let session = session(
            #"""
            while :; do echo '{"sluice":1,"event":"map-update","id":1,"map":"table","entries":[]}'; done
            """#, record)
        async let end: Void = session.supervise()
        #expect(await record.wait(for: "log it does not read what it is told, and is killed"))
        #expect(await record.wait(for: "starting it again"))
        session.stop()
        await end
    }

    @Test func endsWithItsTask() async throws {
        let record = Record()
        let session = session("echo up >&2; sleep 1000 & sleep 1000", record)
        let task = Task { await session.supervise() }
        #expect(await record.wait(for: "log up"))
        task.cancel()
        await task.value
        #expect(await folder.nothingRemains())
    }
}
