// SPDX-License-Identifier: Apache-2.0

extension Reason {
    /// What a reason means to somebody who looks for attacks.
    enum Outcome: UInt8 {
        /// Went on, also where something on trial would have dropped it.
        case passed
        case dropped
        /// Goes on whatever else is said: from the allow list, let through by a rule, or what the link needs.
        case exempt
    }

    var outcome: Outcome {
        switch self {
        case .allowed, .rulePassed, .arp, .ndp, .notIP: .exempt
        // Reasons to drop come in pairs, each before that of a packet that would have been dropped.
        default:
            rawValue >= Self.malformed.rawValue && (rawValue - Self.malformed.rawValue) % 2 == 0 ? .dropped : .passed
        }
    }
}
