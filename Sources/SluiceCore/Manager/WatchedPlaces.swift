// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit

/// What of a generation is looked at by the watches: the cgroups that its stages compare with, and its rules for sockets.
struct WatchedPlaces {
    /// With the stage's place in the chain, from 0 on, and its name.
    var cgroups: [(index: Int, stage: String, reference: CgroupReference)]
    var rules: [SocketRule]

    init(_ chain: ResolvedChain) {
        cgroups = chain.stages.enumerated().flatMap { index, stage in
            stage.plan.cgroups.map { (index, stage.name, $0) }
        }
        rules = chain.spec.match ?? []
    }
}

extension Manager {
    /// That of a hook's generations that may be in the kernel, by number. Read once for each: they do not change, and the
    /// watches ask after each change, when a record can have megabytes.
    func watched(of hook: HookID) throws -> [Int: WatchedPlaces] {
        let numbers = try store.openNumbers(of: hook.description).keys
        var known = (watched[hook] ?? [:]).filter { numbers.contains($0.key) }
        for number in numbers where known[number] == nil {
            known[number] = try store.generation(number, of: hook.description).map { WatchedPlaces($0.resolved) }
        }
        watched[hook] = known.isEmpty ? nil : known
        return known
    }
}
