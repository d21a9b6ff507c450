// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// The steps after which a crash is tried: each names what has just been done. In a debug build the environment
/// variable `SLUICE_FAULT` holding a point's name makes the daemon kill itself there with SIGKILL; a release build has
/// none of it.
public enum FaultPoint: String, CaseIterable, Sendable {
    case artifactsKept, generationRecorded
    case rootFolderMade, entryPinned, rootPinned
    case buildFolderMade, chainPinned, stageLoaded, stateMapPinned, stagePinned, mapsPinned, mapsFilled
    case chainFilled, metaPinned, preflightCopyBuilt, preflightDone, generationRenamed
    case flipped, linkAttached, linkPinned, liveRecorded, changeRecorded
    case retireStarted, retireRenamed, retirePartlyRemoved, retireRemoved, retireRecorded
    case mergePinned, mergeRunEnded, mergeEnded, mergeUnpinned
    case rollbackFlipped, rollbackRecorded
    case stageChangeBegun, stageChangeApplied, stageChangeRecorded
    case splitterBuilt, canaryRecorded, canarySplit, canaryStepped, canaryFlipped, candidateRecorded, splitterRemoved
    case canaryEnded
    case foreignPinned, foreignRemoved, restoreMarked, foreignRestored
    case detachRecorded, linkDetached, hookPartlyRemoved
    case membersPinned, memberNoted, memberFiltered
    case stateCollected, artifactsCollected

    func hit() {
        #if DEBUG
            if ProcessInfo.processInfo.environment["SLUICE_FAULT"] == rawValue { kill(getpid(), SIGKILL) }
        #endif
    }
}
