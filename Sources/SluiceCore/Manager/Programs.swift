// SPDX-License-Identifier: Apache-2.0

internal import BPF
public import SluiceAPI

extension Manager {
    /// What is on the interfaces, whoever attached it, in the manager's own network namespace and in every one that a
    /// chain lives in; and what is on cgroups. Only looks.
    public func programs() throws -> ProgramReport {
        try failing("status") {
            let hooks = try knownHooks()
            let pinned = Bpffs.pinnedPrograms()
            let roots = roots(of: hooks)
            var report = ProgramReport(programs: [], notes: [])
            let places: [String?] = [nil] + Set(hooks.compactMap(\.netns)).sorted()
            for netns in places {
                let survey: ProgramSurvey
                do {
                    survey = try ProgramSurvey(netns: netns)
                } catch {
                    report.notes.append("\(netns ?? "this network namespace"): not looked into: \(error)")
                    continue
                }
                report.programs += survey.seen.map { describe($0, in: netns, roots, pinned) }
            }
            if let mount = Cgroups.mount() {
                report.programs += ProgramSurvey(cgroupsBelow: mount).seen.map { describe($0, in: nil, roots, pinned) }
            }
            if report.programs.contains(where: { $0.name == nil }) {
                report.notes.append("the name of a program that is not pinned can only be had with CAP_SYS_ADMIN")
            }
            return report
        }
    }

    private func describe(
        _ seen: ProgramSurvey.Seen, in netns: String?, _ roots: [UInt32: Root],
        _ pinned: [UInt32: (name: String?, pins: [String])]
    ) -> AttachedProgram {
        let name: String? =
            if let known = pinned[seen.id]?.name {
                known
            } else if let program = BPFProgram.withID(seen.id) {
                program.name
            } else {
                seen.name
            }
        return AttachedProgram(
            interface: seen.interface, cgroup: seen.cgroup, netns: netns, hook: seen.hook, position: seen.position,
            id: seen.id, name: name, link: seen.link ?? link(of: seen, roots), pins: pinned[seen.id]?.pins ?? [],
            chain: roots[seen.id]?.hook)
    }

    private struct Root {
        var hook: String
        var link: UInt32?
    }

    /// The attached roots, by their program's id; of a lost one what its link still runs.
    private func roots(of hooks: [HookID]) -> [UInt32: Root] {
        var roots: [UInt32: Root] = [:]
        for hook in hooks {
            let directory = directory(hook)
            let link = try? BPFLink.pinned(at: directory.link).info()
            if let id = try? BPFProgram.pinned(at: directory.root).id {
                roots[id] = Root(hook: hook.description, link: link?.programID == id ? link?.id : nil)
            }
            if let link { roots[link.programID] = Root(hook: hook.description, link: link.id) }
        }
        return roots
    }

    /// The link of a program of XDP or of a cgroup, which the kernel does not tell with the place.
    private func link(of seen: ProgramSurvey.Seen, _ roots: [UInt32: Root]) -> UInt32? {
        guard [.xdp, .cgroup].contains(seen.hook) else { return nil }
        if let root = roots[seen.id] { return root.link }
        do {
            guard let link = try BPFLink.find(program: seen.id, interface: seen.index, cgroup: seen.cgroupID)
            else { return nil }
            return try link.info().id
        } catch {
            return nil
        }
    }
}
