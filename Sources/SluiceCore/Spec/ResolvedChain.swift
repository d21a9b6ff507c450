// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit

/// A chain with every question answered: exact versions, the plugins' plans, the artifacts. All that is needed to
/// build a generation, with no plugin and no operator; kept with each generation's record.
struct ResolvedChain: Codable, Sendable, Equatable {
    /// As asked for, but with every stage's version filled in.
    var spec: ChainSpec
    /// Whether the root and the stages take packets in fragments.
    var frags: Bool
    var stages: [ResolvedStage]
}

struct ResolvedStage: Codable, Sendable, Equatable {
    var name: String
    var plugin: String
    var version: String
    /// SHA-256 of the plugin's folder, in hexadecimal: its name under `artifacts/`.
    var artifact: String
    var plan: StagePlan
    /// Whether the plugin has work to do while the stage is live.
    var runs: Bool
    /// The state maps of its object by C name, with their schema.
    var state: [String: String]

    var record: StageRecord {
        StageRecord(name: name, plugin: plugin, version: version, artifact: artifact)
    }
}
