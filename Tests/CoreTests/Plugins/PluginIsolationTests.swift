// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import Testing

@testable import SluiceCore

/// What a bad plugin can do: nothing, and not for long.
@Suite(.serialized) struct PluginIsolationTests {
    private let folder = PluginsFolder()

    private func failure(
        _ script: String, _ change: (inout PluginLimits) -> Void = { _ in }
    ) async throws -> PluginError {
        let plugin = folder.install(script: "#!/bin/sh\n\(script)\n")
        let runner = folder.runner(change)
        let error = try await #require(throws: PluginError.self) { try await runner.describe(plugin) }
        #expect(await folder.nothingRemains())
        return error
    }

    @Test(.enabled(if: getuid() == 0, "requires root")) func hasNoPrivileges() async throws {
        let plugin = folder.install(
            script: """
                #!/bin/sh
                \(PluginsFolder.description)
                read -r line
                facts=$(id -u; id -G; pwd; umask; env | sort; grep -E '^(Cap...|NoNewPrivs):' /proc/self/status
                    ulimit -c; ulimit -n; ulimit -t; ulimit -v; ps -o pid=,pgid=,sid= -p $$ | tr -s ' ')
                printf '{"sluice":1,"id":2,"result":{"object":"a.bpf.o","program":"p","verdicts":["next"],"summary":['
                printf %s "$facts" | tr '\\t' ' ' | sed 's/.*/"&"/' | paste -sd, | tr -d '\\n'
                echo ']}}'
                """)
        let facts = try await folder.runner().plan(plugin).summary
        let id = "\(try #require(folder.user).uid)"
        #expect(facts[0] == id)
        #expect(facts[1] == id)
        #expect(facts[2] == plugin.path)
        for fact in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            #expect(facts.contains("\(fact): 0000000000000000"), "\(facts)")
        }
        #expect(facts.contains("NoNewPrivs: 1"))
        #expect(facts.contains("LANG=C.UTF-8"))
        #expect(facts.contains("PATH=/usr/local/bin:/usr/bin:/bin"))
        let variables = facts.compactMap { $0.contains("=") ? String($0.prefix { $0 != "=" }) : nil }
        #expect(Set(variables).isSubset(of: ["LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_"]), "\(variables)")
        #expect(facts.suffix(5).dropLast() == ["0", "64", "10", "\(1 << 20)"])
        // Its own process group and session.
        let numbers = facts.last?.split(separator: " ") ?? []
        #expect(numbers.count == 3 && Set(numbers).count == 1, "\(numbers)")
    }

    @Test func reportsACrash() async throws {
        let exit = try await failure("echo 'cannot find my \u{1b}[1mrules' >&2; exit 3")
        #expect(exit.reason == .crashed(status: "exit status 3", request: "describe"))
        #expect(exit.standardError == "cannot find my \u{fffd}[1mrules\n")
        let signal = try await failure("kill -SEGV $$")
        #expect(signal.reason == .crashed(status: "signal 11 (Segmentation fault)", request: "describe"))
        let nothing = try await failure("")
        #expect(nothing.reason == .crashed(status: "exit status 0", request: "describe"))
    }

    @Test func keepsTheEndOfALongStandardError() async throws {
        let error = try await failure("yes | head -c 300000 >&2; echo end >&2; exit 1") { $0.standardError = 1000 }
        #expect(error.standardError.utf8.count == 1000)
        #expect(error.standardError.hasSuffix("\nend\n"))
    }

    @Test func reportsWhatCannotBeStarted() async throws {
        let plugin = folder.install(script: "#!/nonexistent/interpreter\n")
        let missing = try await #require(throws: PluginError.self) { try await folder.runner().describe(plugin) }
        #expect(missing.description.contains("cannot start \(plugin.executable): failed to execute"), "\(missing)")
    }

    @Test func killsWhatHangs() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        let error = try await failure("echo waiting >&2; sleep 1000") { $0.time = .milliseconds(300) }
        #expect(error.reason == .timedOut(limit: .milliseconds(300), request: "describe"))
        #expect(error.standardError == "waiting\n")
        #expect(clock.now - start < .seconds(5))
    }

    @Test func killsWhatItForked() async throws {
        let hanging = try await failure("sleep 1000 & sleep 1000") { $0.time = .milliseconds(300) }
        #expect(hanging.reason == .timedOut(limit: .milliseconds(300), request: "describe"))
        // The child keeps the pipes open after its parent's end.
        let orphan = try await failure("sleep 1000 & exit 4")
        #expect(orphan.reason == .crashed(status: "exit status 4", request: "describe"))
    }

    @Test(.enabled(if: getuid() == 0, "requires root")) func findsWhatLeftTheGroup() async throws {
        let error = try await failure("setsid sleep 1000 & sleep 0.2; exit 5")
        #expect(error.reason == .crashed(status: "exit status 5", request: "describe"))
    }

    @Test(.enabled(if: getuid() == 0, "requires root")) func sweepsWhatStayedBehind() async throws {
        let plugin = folder.install(
            script: "#!/bin/sh\nsetsid sleep 1000 >/dev/null 2>&1 </dev/null &\nsleep 0.2\n\(PluginsFolder.description)"
        )
        _ = try await folder.runner().describe(plugin)
        let user = try #require(folder.user)
        #expect(user.remaining().count == 1)
        #expect(folder.runner().sweep() == 1)
        #expect(await folder.nothingRemains())
    }

    @Test func leavesNothingAfterAGoodAnswer() async throws {
        let plugin = folder.install(script: "#!/bin/sh\nsleep 1000 &\n\(PluginsFolder.description)\nsleep 1000")
        _ = try await folder.runner().describe(plugin)
        #expect(await folder.nothingRemains())
    }

    @Test func boundsTheOutput() async throws {
        let endless = try await failure("tr '\\0' x < /dev/zero")
        #expect(endless.reason == .tooMuchOutput(limit: 1 << 20, request: "describe"))
        // Noise on standard error is dropped, and neither blocks nor fills the manager.
        let plugin = folder.install(script: "#!/bin/sh\nyes | head -c 3000000 >&2\n\(PluginsFolder.description)")
        _ = try await folder.runner().describe(plugin)
    }

    @Test func noticesClosedOutput() async throws {
        let error = try await failure("exec >&- 2>&-; sleep 1000")
        #expect(error.reason == .silent(request: "describe"))
    }

    @Test func boundsProcessorTime() async throws {
        let error = try await failure("while :; do :; done") { $0.processorSeconds = 1 }
        #expect(error.reason == .usedUpTime(seconds: 1, request: "describe"))
    }

    @Test func boundsMemory() async throws {
        let error = try await failure("x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo done >&2") {
            $0.addressSpace = 64 << 20
        }
        guard case .crashed = error.reason else {
            Issue.record("\(error)")
            return
        }
        #expect(!error.standardError.contains("done"))
    }

    @Test func survivesAPluginThatDoesNotRead() async throws {
        let plugin = folder.install(script: "#!/bin/sh\nexec <&-\nsleep 0.1\nexit 6\n")
        let long = JSON.string(String(repeating: "x", count: 300_000))
        let error = try await #require(throws: PluginError.self) {
            try await folder.runner().plan(plugin, ["x": long])
        }
        #expect(error.reason == .crashed(status: "exit status 6", request: "describe"))
    }

    @Test func endsWithItsCaller() async throws {
        let plugin = folder.install(script: "#!/bin/sh\nsleep 1000 & sleep 1000\n")
        let task = Task { try await folder.runner().describe(plugin) }
        try await Task.sleep(for: .milliseconds(100))
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        #expect(await folder.nothingRemains())
    }
}
