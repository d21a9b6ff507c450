// SPDX-License-Identifier: Apache-2.0

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
            restarts: .init(first: .milliseconds(20), longest: .milliseconds(80)), log: { record.add("log \($0)") }
        ) { map, entries in
            guard map == "table" else { throw StageError("no map \"\(map)\"") }
            record.add("update \(entries.map { "\($0.key.hex)=\($0.value.hex)" })")
        }
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
