// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
public import SluiceAPI
internal import StageKit

extension Manager {
    /// Holds kernel, bpffs, database and artifacts against each other; changes nothing. Waits for a change that is under
    /// way: half of it would look like damage.
    public func doctor() async throws -> DoctorReport {
        let plugins = await pluginFindings()
        return try await exclusively { DoctorReport(findings: examine().map(\.finding) + plugins) }
    }

    /// Mends what may be mended without asking, then looks again: what is not there any more has been repaired.
    public func repair(by caller: Caller) async throws -> DoctorReport {
        let plugins = await pluginFindings()
        return try await exclusively {
            let before = examine()
            var outcomes: [Repair: Result<[String], APIErrorBody>] = [:]
            for repair in before.compactMap(\.repair) where outcomes[repair] == nil {
                let outcome = Result { try mend(repair) }
                    .mapError { APIErrorBody($0, during: "repair\(repair.hook.map { " \($0)" } ?? "")") }
                outcomes[repair] = outcome
                switch outcome {
                case .success(let done):
                    record(
                        "repair", repair.hook?.description, outcome: "done", by: caller.name,
                        done.isEmpty ? "there was nothing to do any more" : done.joined(separator: "; "))
                case .failure(let error):
                    record("repair", repair.hook?.description, outcome: "failed", by: caller.name, error.message)
                }
            }
            updateRuns()
            var report = DoctorReport(findings: examine().map(\.finding) + plugins)
            for (index, finding) in report.findings.enumerated() where finding.repairable {
                // It is still there: say why.
                let repair = before.first { $0.finding == finding }?.repair
                if case .failure(let error)? = repair.flatMap({ outcomes[$0] }) {
                    report.findings[index].remedy = "the repair failed: \(error.message)"
                }
            }
            let gone = before.filter { $0.repair != nil && !report.findings.contains($0.finding) }
            report.findings += gone.map { diagnosis in
                var finding = diagnosis.finding
                finding.remedy = nil
                finding.repaired = (try? outcomes[diagnosis.repair!]?.get())?.joined(separator: "; ") ?? ""
                return finding
            }
            return report
        }
    }

    private func examine() -> [Diagnosis] {
        var found = kernelFindings().map { Diagnosis($0) }
        func look(_ subject: String, _ body: () throws -> [Diagnosis]) {
            do {
                found += try body()
            } catch {
                found.append(
                    Diagnosis(
                        .problem, subject, APIErrorBody(error, during: subject).message,
                        remedy: "see `sluicectl events`"))
            }
        }
        look("database") { try storeFindings() }
        look("artifacts") { try artifactFindings() }
        for hook in (try? knownHooks()) ?? [] {
            look(hook.description) {
                return try recordFindings(hook)
                    + (try chainFindings(hook)).map { Diagnosis($0, repair: $0.level == .problem ? .hook(hook) : nil) }
            }
        }
        return found
    }

    private func pluginFindings() async -> [Finding] {
        await plugins.list().compactMap { plugin in
            plugin.problem.map {
                Finding(
                    level: .problem, subject: plugin.path, message: $0,
                    remedy: "install the plugin anew, or remove its folder")
            }
        }
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
        var findings: [Finding] = []
        func problem(_ message: String, _ remedy: String) {
            findings.append(Finding(level: .problem, subject: name, message: message, remedy: remedy))
        }
        for damage in try inspect(hook) {
            // Why it could not be mended was found out when that was tried.
            let tried = standing[hook]?.message.split(separator: "; ").first { $0.hasPrefix(damage.message) }
            problem(tried.map(String.init) ?? damage.message, damage.remedy)
        }
        // What is damaged may not be read any further.
        guard findings.isEmpty else { return findings }
        let status = try chain(name)
        guard status.state != .detached else { return [] }
        func note(_ message: String, _ remedy: String) {
            findings.append(Finding(level: .note, subject: name, message: message, remedy: remedy))
        }
        let survey = try directory.attachment.survey()
        if status.live == nil {
            problem("the chain is wanted but not in the kernel", "apply its spec again")
        } else if survey.isWaiting {
            note(
                status.notes.first ?? "waits",
                "bring the \(hook.kind.place == .cgroup ? "cgroup" : "interface") back, or detach the chain")
        } else if case .renamed = survey.place {
            note(
                status.notes.first ?? "renamed",
                "give the interface its name back, or detach the chain and apply one for the new name")
        }
        let recorded = try store.openGenerations(of: name).first { $0.state == .live }?.number
        if let live = status.live, recorded != live {
            problem(
                "generation \(live) is live, but the records say \(recorded.map(String.init) ?? "none")",
                "restart sluiced, which settles it")
        }
        if status.rootFallbacks > 0 {
            note(
                "\(status.rootFallbacks) packets found no stage behind the root and got `\(status.onFault)`",
                "it is mended; `sluicectl events` says what it was")
        }
        let fallen = status.stages.compactMap { $0.counters?.verdicts["fallthrough"]?.packets }.reduce(0, +)
        if fallen > 0 {
            note(
                "\(fallen) packets found an empty slot behind a stage",
                "it is mended; `sluicectl events` says what it was")
        }
        if let number = status.live, let live = try store.generation(number, of: name) {
            for need in unmetNeeds(of: hook, live.resolved) {
                note(need, "see the documentation of the stage's plugin")
            }
        }
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
        for line in missed[hook] ?? [] {
            problem("a socket of a standing rule is not in the group: \(line)", "bring it in by `sluicectl socket add`")
        }
        let leftovers = try directory.leftovers()
        if !leftovers.isEmpty { problem("half-done generations: \(leftovers.joined(separator: ", "))", "sluicectl gc") }
        if !findings.contains(where: { $0.level == .problem }) {
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
                    removed += try collectState(directory).map { "state \($0)" }
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
