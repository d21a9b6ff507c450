// SPDX-License-Identifier: Apache-2.0

import Foundation
import StageTesting

/// What a change takes, from the start of the CLI to its end with the chain live, and what the daemon itself takes.
enum ManagerBench {
    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["volumetric-dos-1_0", "volumetric-dos-1_1", "noop"])
        let clock = ContinuousClock()
        var start = Series()
        for _ in 0..<10 {
            site.killDaemon()
            try? FileManager.default.removeItem(atPath: site.socket)
            let activator = try activate(site)
            let begin = clock.now
            try site.must("version")
            start.add((clock.now - begin) / .milliseconds(1))
            activator.kill()
        }
        try? FileManager.default.removeItem(atPath: site.socket)
        try site.start()
        try site.apply(spec(port: 1))
        var answer = Series()
        for _ in 0..<20 { answer.add(try clock.milliseconds { try site.must("version") }) }
        var warm = Series()
        for port in 2..<22 { warm.add(try clock.milliseconds { try site.apply(spec(port: port)) }) }
        var rollback = Series()
        for _ in 0..<20 { rollback.add(try clock.milliseconds { try site.must("rollback", "xdp:edge0") }) }
        let steps = try site.must("apply", "-v", "-f", "-", input: spec(port: 99))
        var (written, memory) = (Series(), Series())
        written.add(try memoryInMiB(of: site.daemon!.pid, ["Private_Dirty"]))
        memory.add(try memoryInMiB(of: site.daemon!.pid, ["Private_Dirty", "Private_Clean"]))
        site.killDaemon()

        var cold = Series()
        for port in 100..<110 {
            try? FileManager.default.removeItem(atPath: site.socket)
            let activator = try activate(site)
            cold.add(try clock.milliseconds { try site.apply(spec(port: port)) })
            activator.kill()
        }
        print(steps.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n"))
        return [
            Figure("CLI to first answer, daemon cold", "ms", start, note: "socket-activated, a new process"),
            Figure("CLI to answer, daemon warm", "ms", answer),
            Figure("apply of two stages, daemon warm", "ms", warm, note: "CLI start to live; goal 60; steps above"),
            Figure("apply of two stages, daemon cold", "ms", cold),
            Figure("rollback, daemon warm", "ms", rollback, note: "CLI start to end"),
            Figure("daemon's private memory, written", "MiB", written, note: "after 41 changes"),
            Figure("the same with its own code's pages", "MiB", memory, note: "no other process maps them"),
        ]
    }

    /// A socket that starts the daemon when somebody connects, as systemd does.
    private static func activate(_ site: LabSite) throws -> LabProcess {
        let process = try site.lab.spawn([
            "systemd-socket-activate", "-l", site.socket, BuildProducts.path("sluiced"), "--socket", site.socket,
            "--bpffs",
            site.bpffs, "--state", site.state, "--plugins", site.plugins,
        ])
        try site.lab.until("the socket is there") { FileManager.default.fileExists(atPath: site.socket) }
        return process
    }

    /// Memory that is the process's alone, by the kernel's account of it.
    private static func memoryInMiB(of pid: Int32, _ kinds: [String]) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)
        let lines = text.split(separator: "\n").filter { line in kinds.contains { line.hasPrefix($0) } }
        let kilobytes = lines.compactMap { $0.split(separator: " ").dropFirst().first.flatMap { Double($0) } }
        return kilobytes.reduce(0, +) / 1024
    }

    private static func spec(port: Int) -> String {
        """
        chains:
          - hook: xdp:edge0
            stages:
              - name: dos
                plugin: volumetric-dos
                config: {rules: [{protocol: udp, destination-port: \(port)}]}
              - {name: last, plugin: noop}
        """
    }
}

extension ContinuousClock {
    /// Blocks the calling thread.
    func pause(_ duration: Duration) throws { usleep(UInt32(duration / .microseconds(1))) }

    /// What something takes.
    func milliseconds(_ body: () throws -> Void) rethrows -> Double { try measure(body) / .milliseconds(1) }
}

extension LiveFrames {
    /// Millions of frames a second, over some time from now on.
    func rate(for duration: Duration) throws -> Double {
        let clock = ContinuousClock()
        let (start, before) = (clock.now, sent)
        try clock.pause(duration)
        return Double(sent - before) / ((clock.now - start) / .seconds(1)) / 1e6
    }
}
