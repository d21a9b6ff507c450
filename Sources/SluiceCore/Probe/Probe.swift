// SPDX-License-Identifier: Apache-2.0

internal import BPF
public import SluiceAPI

extension Manager {
    /// Tries what the kernel gives, with the daemon's own rights: what a shell of root may do says nothing about that.
    public func probe() throws -> ProbeReport {
        ProbeReport(
            kernel: Kernel.release(),
            items: Probe.machine(bpffs: configuration.bpffs) + Probe.hooks + Probe.maps + Probe.features)
    }
}

/// One thing to try.
struct Probe {
    var group: String
    var name: String
    var required = false
    /// What it is good for.
    var purpose: String
    /// The first Linux that has it, where that is later than what Sluice asks for anyway.
    var since: (major: Int, minor: Int)?
    /// Throws when the kernel refuses.
    var attempt: () throws -> Void

    /// Tries it. The kernel's word counts, not its version; that only explains a refusal.
    func run() -> ProbeItem {
        do {
            try attempt()
            return ProbeItem(group: group, name: name, supported: true, required: required, reason: purpose)
        } catch {
            let error = error as? BPFError
            let (reason, remedy) = Self.explain(error, since: since)
            return ProbeItem(
                group: group, name: name, supported: false, required: required, reason: reason, remedy: remedy)
        }
    }

    private static func explain(_ error: BPFError?, since: (major: Int, minor: Int)?) -> (String, String) {
        let word = error?.cause ?? error?.errno?.description ?? "it failed"
        if let missing = Capability.needed.filter({ !Capability.held($0.number) }).map(\.name).first,
            error?.errno == .notPermitted || error?.errno == .accessDenied
        {
            return ("\(word): the daemon lacks \(missing)", "give it \(missing), as its unit does")
        }
        if let since, !Kernel.isAtLeast(since.major, since.minor) {
            return ("not supported (requires Linux \(since.major).\(since.minor))", "boot a newer kernel")
        }
        return (
            "refused: \(word)",
            "the kernel was built or configured without it, or a security module forbids it: see its log, and "
                + "/boot/config-\(Kernel.release())"
        )
    }
}
