// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit

/// A chain with every question answered: exact versions, the plugins' plans, the artifacts. All that is needed to
/// build a generation, with no plugin and no operator; kept with each generation's record.
struct ResolvedChain: Codable, Sendable, Equatable {
    /// As asked for, but with every plugin's version and every object's program filled in.
    var spec: ChainSpec
    /// Whether the root and the stages take packets in fragments.
    var frags: Bool
    var stages: [ResolvedStage]
}

struct ResolvedStage: Codable, Sendable, Equatable {
    var name: String
    var source: ResolvedSource
    /// SHA-256 of the plugin's folder or of the object, in hexadecimal: its name under `artifacts/`.
    var artifact: String
    /// Of an adopted object the manager makes the plan itself.
    var plan: StagePlan
    /// The state maps of its object by C name, with their schema.
    var state: [String: String]

    var record: StageRecord {
        switch source {
        case .plugin(let plugin):
            StageRecord(name: name, plugin: plugin.name, version: plugin.version, artifact: artifact)
        case .adopted: StageRecord(name: name, object: "\(plan.object)#\(plan.program)", artifact: artifact)
        }
    }

    /// What it runs: `volumetric-dos 1.1`, `object balancer.bpf.o#balancer_ingress`.
    var title: String { record.title }

    var isPlugin: Bool { if case .plugin = source { true } else { false } }

    /// Who gives the data in its state maps their meaning; another one's data is not shared.
    var owner: String {
        switch source {
        case .plugin(let plugin): plugin.name
        case .adopted: "object#\(plan.program)"
        }
    }
}

/// Where the program of a built stage came from.
enum ResolvedSource: Codable, Sendable, Equatable {
    case plugin(ResolvedPlugin)
    case adopted(AdoptedObject)
}

struct ResolvedPlugin: Codable, Sendable, Equatable {
    var name: String
    var version: String
    /// Whether it has work to do while the stage is live.
    var runs: Bool
}

struct AdoptedObject: Codable, Sendable, Equatable {
    /// The verdicts after which the next stage has its turn.
    var proceedOn: [Verdict]
}
