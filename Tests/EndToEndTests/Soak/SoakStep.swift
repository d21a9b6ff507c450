// SPDX-License-Identifier: Apache-2.0

import SluiceCore

/// A change that an operator may ask for.
indirect enum SoakChange: CustomStringConvertible {
    case apply(SoakRecipe)
    /// What is live already.
    case reapply
    case upgrade(stage: String, to: String)
    /// To a kept generation by its place, oldest first; nil for the one before.
    case rollback(Int?)
    case gc, detach
    /// An apply or upgrade that is tried on a share of the flows first.
    case canary(SoakChange, SoakTrial)
    case promote, abort

    var description: String {
        switch self {
        case .apply(let recipe): "apply \(recipe)"
        case .reapply: "apply what is live"
        case .upgrade(let stage, let version): "upgrade \(stage) to \(version)"
        case .rollback(nil): "rollback"
        case .rollback(let place?): "rollback to kept generation \(place)"
        case .gc: "gc"
        case .detach: "detach"
        case .canary(let change, let trial): "\(change) as a canary, \(trial.rawValue)"
        case .promote: "canary promote"
        case .abort: "canary abort"
        }
    }

    /// Where the daemon may be killed in it.
    var faultPoints: [FaultPoint] {
        let building: [FaultPoint] = [
            .artifactsKept, .generationRecorded, .buildFolderMade, .chainPinned, .stageLoaded, .stateMapPinned,
            .stagePinned, .mapsPinned, .mapsFilled, .chainFilled, .metaPinned, .preflightCopyBuilt, .preflightDone,
            .generationRenamed, .flipped, .liveRecorded, .changeRecorded,
        ]
        let retiring: [FaultPoint] = [
            .retireStarted, .retireRenamed, .retirePartlyRemoved, .retireRemoved, .retireRecorded, .stateCollected,
            .artifactsCollected,
        ]
        switch self {
        case .apply:
            return building + retiring + [.rootFolderMade, .entryPinned, .rootPinned, .linkAttached, .linkPinned]
        case .reapply: return [.artifactsKept]
        case .upgrade(let stage, _):
            let merging: [FaultPoint] = [.mergePinned, .mergeRunEnded, .mergeEnded, .mergeUnpinned]
            return building + retiring + (stage == "tally" ? merging : [])
        case .rollback: return [.rollbackFlipped, .rollbackRecorded]
        case .gc: return retiring
        case .detach: return [.detachRecorded, .linkDetached, .hookPartlyRemoved, .artifactsCollected]
        case .canary:
            return [
                .artifactsKept, .generationRecorded, .buildFolderMade, .stageLoaded, .chainFilled, .metaPinned,
                .preflightDone, .generationRenamed, .splitterBuilt, .canaryRecorded, .canarySplit,
            ]
        case .promote: return [.canaryFlipped, .candidateRecorded, .splitterRemoved, .canaryEnded] + retiring
        case .abort:
            return [
                .canaryFlipped, .splitterRemoved, .retireRenamed, .retirePartlyRemoved, .retireRemoved, .canaryEnded,
            ]
        }
    }
}

/// How a canary goes.
enum SoakTrial: String {
    /// It lasts until something else is done.
    case open
    case promoted
    /// By its judge: the candidate drops what all drop.
    case aborted
    case promotedAfterKill = "promoted though the daemon is killed"

    /// All flows, to speak of: which of few flows fall to a smaller share is left to chance.
    var options: [String] {
        let share = ["--canary", "99.9999999%", "--for"]
        return switch self {
        case .open: share + ["1h", "--no-wait", "--abort-if", "aborted>+1%"]
        case .promoted: share + ["200ms", "--abort-if", "aborted>+1%"]
        case .aborted: share + ["1h", "--min-packets", "50"]
        case .promotedAfterKill: share + ["500ms", "--abort-if", "aborted>+1%", "--no-wait"]
        }
    }
}

/// One step of a sequence. After each, kernel, `status` and model must agree.
enum SoakStep: CustomStringConvertible {
    case change(SoakChange)
    /// The daemon is killed in the middle, and started again.
    case crash(SoakChange, FaultPoint)
    /// What must fail, and change nothing.
    case refused(SoakRefusal)
    /// The daemon ends, something happens, it is started again.
    case outage(SoakEnd, SoakEvent?)
    /// Something happens while the daemon runs, or it is killed by what it then does and started again.
    case event(SoakEvent, SoakRemedy)

    var description: String {
        switch self {
        case .change(let change): "\(change)"
        case .crash(let change, let point): "\(change), killed at \(point)"
        case .refused(let refusal): "refused: \(refusal)"
        case .outage(let end, let event): "\(end.rawValue), \(event.map { "\($0.rawValue), " } ?? "")start"
        case .event(let event, let remedy): "\(event.rawValue), \(remedy)"
        }
    }
}

enum SoakRefusal {
    case unknownVersion, unknownStage, unknownGeneration, brokenPlugin, refusingPlugin, badEntry, badSample
    case verifier, wrongVerdict
    /// What may not be while a canary is on.
    case applyInCanary, upgradeInCanary, canaryInCanary, rollbackToCandidate
    /// What may not be while none is.
    case promoteNothing, abortNothing

    static let withoutCanary: [SoakRefusal] = [
        .unknownVersion, .unknownStage, .unknownGeneration, .brokenPlugin, .refusingPlugin, .badEntry, .badSample,
        .verifier,
        .wrongVerdict, .promoteNothing, .abortNothing,
    ]
    static let inCanary: [SoakRefusal] = [.applyInCanary, .upgradeInCanary, .canaryInCanary, .rollbackToCandidate]
}

enum SoakEnd: String {
    case kill = "kill -9"
    case stop
}

/// What somebody else does.
enum SoakEvent: String {
    case linkDetached = "link detached"
    case linkUnpinned = "link unpinned"
    case rootUnpinned = "root unpinned"
    case slotEmptied = "slot emptied"
    case arrayUnpinned = "array unpinned"
    case interfaceDeleted = "interface deleted"
    case interfaceMade = "interface made"
    case interfaceReplaced = "interface deleted and made again"

    /// A shell command; `$H` is the hook's folder, `$G` the live generation's.
    var command: String? {
        switch self {
        case .linkDetached: "bpftool link detach pinned $H/link"
        case .linkUnpinned: "rm $H/link"
        case .rootUnpinned: "rm $H/root"
        case .slotEmptied: "bpftool map delete pinned $H/entry key 0 0 0 0"
        case .arrayUnpinned: "rm $G/chain"
        case .interfaceDeleted, .interfaceMade, .interfaceReplaced: nil
        }
    }
}

/// What has the daemon look at what has happened.
enum SoakRemedy: CustomStringConvertible {
    /// It hears of it by itself, or of something else and looks.
    case heard
    case repair
    case apply(SoakRecipe)

    var description: String {
        switch self {
        case .heard: "heard of"
        case .repair: "doctor --repair"
        case .apply(let recipe): "apply \(recipe)"
        }
    }
}
