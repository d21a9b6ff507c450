// SPDX-License-Identifier: Apache-2.0

/// The maps that are shown and changed while the stage is live.
enum LiveMaps {
    static let policies = "policies"
    static let overrides = "overrides"
    static let overriding = "overriding"
    static let drops = "drops"
    static let offenders = "offenders"
    static let names = [policies, overrides, overriding, drops, offenders]
}
