// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
public import SluiceAPI

extension Manager {
    /// Looks at all that the manager stands on, and at each chain; changes nothing.
    public func doctor() async throws -> DoctorReport {
        var findings = kernelFindings()
        for hook in try knownHooks() {
            do {
                findings += try chainFindings(hook)
            } catch {
                findings.append(
                    Finding(
                        level: .problem, subject: hook.description,
                        message: APIErrorBody(error, during: "\(hook)").message,
                        remedy: "see `sluicectl events`, and the pins below \(directory(hook).path)"))
            }
        }
        for plugin in await plugins.list() {
            guard let problem = plugin.problem else { continue }
            findings.append(
                Finding(
                    level: .problem, subject: plugin.path, message: problem,
                    remedy: "install the plugin anew, or remove its folder"))
        }
        return DoctorReport(findings: findings)
    }

    private func kernelFindings() -> [Finding] {
        var findings: [Finding] = []
        let release = Kernel.release()
        if Kernel.isAtLeast(6, 1) {
            findings.append(Finding(level: .ok, subject: "kernel", message: "Linux \(release)"))
        } else {
            findings.append(
                Finding(
                    level: .problem, subject: "kernel",
                    message: "Linux \(release) is older than 6.1, the oldest supported",
                    remedy: "boot a newer kernel"))
        }
        if Kernel.setting("net/core/bpf_jit_enable") == "0" {
            findings.append(
                Finding(
                    level: .problem, subject: "kernel", message: "the BPF JIT is off: stages run interpreted and slow",
                    remedy: "sysctl net.core.bpf_jit_enable=1"))
        }
        if let harden = Kernel.setting("net/core/bpf_jit_harden"), harden == "2" {
            findings.append(
                Finding(
                    level: .note, subject: "kernel",
                    message:
                        "net.core.bpf_jit_harden=2 turns every step between stages into an indirect call, about 10 ns",
                    remedy: "sysctl net.core.bpf_jit_harden=1"))
        }
        findings.append(
            Bpffs.contains(configuration.bpffs)
                ? Finding(level: .ok, subject: configuration.bpffs, message: "is a bpffs")
                : Finding(
                    level: .problem, subject: configuration.bpffs, message: "is not in a bpffs any more",
                    remedy: "mount it again (mount -t bpf bpf /sys/fs/bpf) and restart sluiced"))
        return findings
    }

    private func chainFindings(_ hook: HookID) throws -> [Finding] {
        let name = hook.description
        let directory = directory(hook)
        let status = try chain(name)
        guard status.state != .detached else { return [] }
        var findings: [Finding] = []
        func problem(_ message: String, _ remedy: String) {
            findings.append(Finding(level: .problem, subject: name, message: message, remedy: remedy))
        }
        if status.live == nil {
            problem(
                "the chain is wanted but not in the kernel",
                "apply its spec again")
        } else if status.state == .missing {
            problem("the root is not attached to the interface", "check the interface, then apply the spec again")
        }
        let recorded = try store.generations(of: name).first { $0.state == .live }?.number
        if let live = status.live, recorded != live {
            problem(
                "generation \(live) is live, but the records say \(recorded.map(String.init) ?? "none")",
                "restart sluiced, which settles it")
        }
        if status.rootFallbacks > 0 {
            problem(
                "\(status.rootFallbacks) packets found no stage behind the root and got `\(status.onFault)`",
                "somebody emptied \(directory.entry); apply the spec again")
        }
        let fallen = status.stages.compactMap { $0.counters?.verdicts["fallthrough"]?.packets }.reduce(0, +)
        if fallen > 0 { problem("\(fallen) packets found an empty slot behind a stage", "apply the spec again") }
        for stage in status.stages {
            if let invalid = stage.counters?.verdicts["invalid"]?.packets, invalid > 0 {
                problem(
                    "stage \"\(stage.name)\" gave \(invalid) packets a number that is no verdict",
                    "upgrade or roll back the stage")
            }
        }
        if let live = status.live,
            try Bpffs.list(directory.generation(live).path).contains(where: { $0.hasPrefix("merge_") })
        {
            problem("old state has yet to be merged into generation \(live)", "restart sluiced, which goes on with it")
        }
        let leftovers = try directory.leftovers()
        if !leftovers.isEmpty { problem("half-done generations: \(leftovers.joined(separator: ", "))", "sluicectl gc") }
        if findings.isEmpty {
            let stages = status.stages.map(\.name).joined(separator: ", ")
            findings.append(
                Finding(level: .ok, subject: name, message: "generation \(status.live!) is live: \(stages)"))
        }
        if status.mode == "generic" {
            findings.append(
                Finding(
                    level: .note, subject: name, message: "runs in generic mode", remedy: "use a driver with native XDP"
                ))
        }
        return findings
    }

    /// Removes what no generation needs: half-done ones, those beyond the number to keep, state, artifacts.
    public func gc(by caller: Caller) async throws -> GCReport {
        try await exclusively {
            try failing("gc") {
                var removed: [String] = []
                for hook in try knownHooks() where directory(hook).exists {
                    let directory = directory(hook)
                    for name in try directory.leftovers() {
                        try Bpffs.removeTree("\(directory.path)/\(name)")
                        removed.append("\(hook): half-done generation \(name.dropFirst())")
                    }
                    removed += retire(hook).map { "\(hook): \($0)" }
                    removed += try directory.collectState().map { "state \($0)" }
                }
                removed += try collectArtifacts()
                let processes = plugins.runner.sweep()
                if processes > 0 { removed.append("\(processes) processes that plugins left behind") }
                record(
                    "gc", nil, outcome: "done", by: caller.name,
                    removed.isEmpty ? "nothing to remove" : removed.joined(separator: ", "))
                return GCReport(removed: removed)
            }
        }
    }
}
