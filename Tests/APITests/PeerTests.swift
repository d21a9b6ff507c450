// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import Synchronization
import Testing

@testable import sluiced

/// Other users for real: setpriv(1) runs sluicectl as one of them, the kernel tells the server.
@Suite(.enabled(if: getuid() == 0, "becoming another user requires root"))
struct PeerTests {
    /// sluicectl as user 65534 with these supplementary groups.
    private func sluicectl(
        _ server: ServerFixture, groups: [gid_t], _ arguments: [String], input: String = ""
    ) async throws -> CommandRunner.Outcome {
        // The build directory may be closed to others. A copy by another process: written in this one, the file could
        // be open still in a child that another test starts at that moment, and then it cannot be run.
        let copy = server.directory.appending(path: "sluicectl")
        if !FileManager.default.fileExists(atPath: copy.path) {
            _ = try await CommandRunner.run(
                [CommandRunner.sluicectl.path, copy.path], executable: URL(filePath: "/bin/cp"), in: server.directory)
        }
        let groupOption =
            groups.isEmpty ? "--clear-groups" : "--groups=\(groups.map(String.init).joined(separator: ","))"
        return try await CommandRunner.run(
            ["--reuid=65534", "--regid=65534", groupOption, copy.path] + arguments,
            executable: URL(filePath: "/usr/bin/setpriv"), input: input, socket: server.path, in: server.directory)
    }

    @Test func aStrangerIsRefusedAndToldWhatToAskFor() async throws {
        try await ServerFixture.run { server async throws in
            for arguments in [["status"], ["version"], ["gc"]] {
                let outcome = try await sluicectl(server, groups: [], arguments)
                #expect(outcome.status == 1)
                #expect(
                    outcome.errors == "sluicectl: uid 65534 may not use sluiced; ask for membership of the group "
                        + "\"sluice\" (change) or \"sluice-view\" (read), and log in again\n")
            }
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test func aViewerReadsAndDoesNotChange() async throws {
        try await ServerFixture.run { server async throws in
            let view = [ServerFixture.viewGroup]
            #expect(try await sluicectl(server, groups: view, ["status"]).status == 0)
            #expect(try await sluicectl(server, groups: view, ["plan", "-f", "-"], input: "chains: []").status == 2)
            let before = server.manager.calls
            for arguments in [
                ["apply", "-f", "-"], ["rollback", "xdp:eth0"], ["detach", "xdp:eth0"], ["gc"],
                ["upgrade", "xdp:eth0", "dos"],
            ] {
                let outcome = try await sluicectl(server, groups: view, arguments, input: "chains: []")
                #expect(outcome.status == 1)
                #expect(outcome.errors.contains("uid 65534 may read but not change; POST /v1/"))
                #expect(outcome.errors.contains("needs root or membership of the group \"sluice\""))
            }
            #expect(server.manager.calls == before)
        }
    }

    @Test func aMemberOfTheChangeGroupChanges() async throws {
        try await ServerFixture.run { server async throws in
            let outcome = try await sluicectl(server, groups: [ServerFixture.changeGroup], ["gc"])
            #expect(outcome.status == 0)
            #expect(outcome.output == "removed artifact abcd\n")
            let caller = try #require(server.manager.state.withLock(\.callers).first)
            #expect(caller.uid == 65534)
        }
    }

    @Test func recordsSayWhichCommandItWas() async throws {
        try await ServerFixture.run { server async throws in
            server.manager.emit(Samples.event(1))
            #expect(try await server.sluicectl("gc", "-o", "json").status == 0)
            let callers = server.manager.state.withLock(\.callers)
            #expect(callers.last?.name == "root (uid 0, sluicectl gc -o json)")
        }
    }
}

@Suite struct CommandLineInRecordsTests {
    @Test(arguments: [
        ("/usr/bin/sluicectl\0apply\0-f\0edge.yaml\0", "sluicectl apply -f edge.yaml"),
        ("sluicectl\0-m\0two\nlines \u{1B}[31m\u{202E}\0", "sluicectl -m two?lines ?[31m?"),
        ("a\0" + String(repeating: "x", count: 500), "a " + String(repeating: "x", count: 118) + "..."),
        ("", nil), ("\0\0", nil),
    ])
    func isOneShortPrintableLine(raw: String, told: String?) {
        #expect(CommandLine(arguments: raw.utf8)?.description == told)
    }
}
