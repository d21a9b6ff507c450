// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// Something found, and what mends it.
struct Diagnosis {
    var finding: Finding
    /// Nil when only an operator can; several may share one.
    var repair: Repair?

    init(
        _ level: Finding.Level, _ subject: String, _ message: String, remedy: String? = nil, repair: Repair? = nil
    ) {
        self.init(Finding(level: level, subject: subject, message: message, remedy: remedy), repair: repair)
    }

    init(_ finding: Finding, repair: Repair? = nil) {
        self.finding = finding
        self.finding.repairable = repair != nil
        self.repair = repair
    }
}

/// What may be done without asking: nothing that packets would notice, and nothing that cannot be had again.
enum Repair: Hashable {
    /// All that a restart does for a hook.
    case hook(HookID)
    /// Removes the pins of a generation that is not live and that no record knows.
    case unpin(HookID, Int)
    /// Removes state that no generation of the hook uses.
    case state(HookID)
    /// Copies an artifact anew from where it was installed from.
    case artifact(String, from: String)
    /// Removes the artifacts that no generation needs.
    case artifacts

    var hook: HookID? {
        switch self {
        case .hook(let hook), .unpin(let hook, _), .state(let hook): hook
        case .artifact, .artifacts: nil
        }
    }
}

extension Manager {
    /// Does a repair, and says what was done.
    func mend(_ repair: Repair) throws -> [String] {
        switch repair {
        case .hook(let hook):
            let last = try store.lastEventID()
            recover(hook)
            attend(hook)
            let events = try store.events(since: last, limit: 100).filter { $0.hook == hook.description }
            if let failed = events.first(where: { $0.outcome == "failed" }) {
                throw APIErrorBody.conflict(failed.message)
            }
            // What was told once is not told again.
            if let standing = standing[hook], !["wait", "rename"].contains(standing.action) {
                throw APIErrorBody.conflict(standing.message)
            }
            return events.map(\.message)
        case .unpin(let hook, let number):
            guard try directory(hook).live() != number else { return [] }
            waitForPacketsInFlight()
            try directory(hook).remove(number)
            return ["unpinned generation \(number)"]
        case .state(let hook):
            return try collectState(directory(hook)).map { "removed \($0)" }
        case .artifact(let digest, let source):
            try artifacts.replace(digest, from: source)
            return ["copied artifact \(digest.prefix(12)) anew from \(source)"]
        case .artifacts:
            return try collectArtifacts().map { "removed \($0)" }
        }
    }
}
