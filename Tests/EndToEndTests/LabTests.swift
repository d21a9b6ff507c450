// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import StageTesting
import Testing

/// The lab must keep its promise before any other test can lean on it: nothing gets out, nothing stays.
@Suite(.enabled(if: Lab.isAvailable, "requires root"))
struct LabTests {
    @Test func isolatesAndVanishes() async throws {
        let before = try namespaces()
        let (inside, directory, pid) = try await Lab.run { lab in
            try lab.addNamespace("client")
            try lab.addVeth(
                VethEnd("edge0", addresses: ["192.0.2.1/24", "2001:db8::1/64"]),
                VethEnd("client0", netns: "client", addresses: ["192.0.2.2/24", "2001:db8::2/64"]), mtu: 3000)
            #expect(try lab.check(["ip", "-br", "link"]).contains("edge0"))
            #expect(try lab.check(["ip", "link", "show", "client0"], netns: "client").contains("mtu 3000"))
            #expect(try lab.check(["stat", "-f", "-c", "%T", lab.bpffs]) == "bpf_fs\n")
            #expect(try lab.interfaceIndex("client0", netns: "client") > 0)
            let sleeper = try lab.spawn(["sleep", "1000"])
            #expect(sleeper.isRunning)
            return (try namespaces(), lab.directory, sleeper.pid)
        }
        #expect(inside.allSatisfy { !before.contains($0) })
        #expect(try namespaces() == before)
        #expect(!FileManager.default.fileExists(atPath: directory))
        #expect(Glibc.kill(pid, 0) == -1 && errno == ESRCH)
        #expect(if_nametoindex("edge0") == 0)
    }

    @Test func cleansUpAfterAThrow() async throws {
        struct Deliberate: Error {
            let directory: String
            let pid: Int32
        }
        let error = await #expect(throws: Deliberate.self) {
            try await Lab.run { lab in
                throw Deliberate(directory: lab.directory, pid: try lab.spawn(["sleep", "1000"]).pid)
            }
        }
        let deliberate = try #require(error)
        #expect(!FileManager.default.fileExists(atPath: deliberate.directory))
        #expect(Glibc.kill(deliberate.pid, 0) == -1 && errno == ESRCH)
    }

    /// A pool thread that kept the lab's namespaces would spoil whatever runs on it next.
    @Test func keepsThePoolOutside() async throws {
        let before = try namespaces()
        try await Lab.run { lab in
            for _ in 0..<20 {
                let seen = try lab.await {
                    try await withThrowingTaskGroup(of: [String].self) { group in
                        for _ in 0..<8 { group.addTask { try namespaces() } }
                        return try await group.reduce(into: []) { $0.append($1) }
                    }
                }
                #expect(seen.allSatisfy { $0 == before })
            }
        }
        for _ in 0..<100 {
            await Task.yield()
            #expect(try namespaces() == before)
        }
    }

    @Test func tellsHowAProcessEnded() async throws {
        try await Lab.run { lab in
            let error = #expect(throws: LabError.self) { try lab.check(["sh", "-c", "echo reason >&2; exit 3"]) }
            #expect(error?.description == "'sh -c echo reason >&2; exit 3': exit status 3\nreason\n")
            let missing = #expect(throws: LabError.self) { try lab.check(["no-such-program"]) }
            #expect(missing?.description == "run 'no-such-program': No such file or directory")
            #expect(try lab.check(["cat"], input: "one\ntwo\n") == "one\ntwo\n")
            let sleeper = try lab.spawn(["sleep", "1000"])
            #expect(throws: LabError.self) { try sleeper.wait(timeout: .milliseconds(20)) }
            sleeper.terminate()
            #expect(try sleeper.wait() == .signaled(SIGTERM))
        }
    }

}

/// The calling thread's.
private func namespaces() throws -> [String] {
    try ["net", "mnt"].map { try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self/ns/\($0)") }
}
