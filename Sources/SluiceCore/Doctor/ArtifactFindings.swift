// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import SluiceAPI

extension Manager {
    /// Whether the artifacts are there and as they were: a chain comes back after a reboot from nothing else.
    func artifactFindings() throws -> [Diagnosis] {
        var users: [String: (stage: ResolvedStage, spec: StageSpec, names: [String], isLive: Bool)] = [:]
        for hook in try knownHooks() {
            for record in try store.openGenerations(of: hook.description) {
                for (stage, spec) in zip(record.resolved.stages, record.resolved.spec.stages) {
                    var user = users[stage.artifact] ?? (stage, spec, [], false)
                    user.names.append("stage \"\(stage.name)\" of \(hook) generation \(record.number)")
                    user.isLive = user.isLive || record.state == .live
                    users[stage.artifact] = user
                }
            }
        }
        var found: [Diagnosis] = []
        for (digest, user) in users.sorted(by: { $0.key < $1.key }) {
            let subject = "artifact \(digest.prefix(12))"
            let fault: String
            switch artifacts.state(of: digest) {
            case .whole: continue
            case .missing: fault = "is missing"
            case .damaged(let why): fault = "is damaged (\(why))"
            }
            let loss =
                user.isLive
                ? "after a reboot the chain could not be built again"
                : "its generation is only kept, and stays so until a reboot"
            let source = source(of: user.stage, user.spec)
            let what =
                user.spec.isObject ? "put the very same object back" : "install the very same build of the plugin"
            found.append(
                Diagnosis(
                    user.isLive ? .problem : .note, subject,
                    "\(user.stage.title) \(fault), which \(user.names.joined(separator: ", ")) was built from: \(loss)",
                    remedy: source == nil
                        ? "\(what) and run `sluicectl doctor --repair`, or move the stage to what is installed (apply)"
                        : nil,
                    repair: source.map { .artifact(digest, from: $0) }))
        }
        let unused = try artifacts.names().subtracting(artifactsNeeded() ?? artifacts.names())
        if !unused.isEmpty {
            let list = unused.sorted().map { String($0.prefix(12)) }.joined(separator: ", ")
            found.append(Diagnosis(.note, "artifacts", "no generation needs: \(list)", repair: .artifacts))
        }
        return found.isEmpty ? [Diagnosis(.ok, "artifacts", "\(users.count) are there and whole")] : found
    }

    /// Where the same files are still: the plugin's installed folder or the object's path, if nothing in it differs.
    private func source(of stage: ResolvedStage, _ spec: StageSpec) -> String? {
        let path: String?
        switch spec.source {
        case .plugin(let plugin):
            path = try? plugins.find(plugin.name, version: plugin.version, stage: stage.name).path
        case .object(let object): path = object.path
        }
        guard let path, (try? artifacts.digest(of: path)) == stage.artifact else { return nil }
        return path
    }
}

extension StageSpec {
    fileprivate var isObject: Bool { if case .object = source { true } else { false } }
}

extension Artifacts {
    enum Condition {
        case whole, missing
        case damaged(String)
    }

    /// The names of all that is kept, half-made copies included.
    func names() throws -> Set<String> { Set(try FileManager.default.contentsOfDirectory(atPath: folder)) }

    /// Whether an artifact is what its name says, read anew: a disk that forgets does not change a file's date.
    func state(of digest: String) -> Condition {
        guard FileManager.default.fileExists(atPath: path(digest)) else { return .missing }
        do {
            return try reread(path(digest)) == digest ? .whole : .damaged("its contents have changed")
        } catch {
            return .damaged("it cannot be read: \(error)")
        }
    }

    /// Keeps an artifact anew, from where the same files still are; what was there is gone then.
    mutating func replace(_ digest: String, from source: String) throws {
        let old = "\(folder)/.damaged-\(digest)"
        try? FileManager.default.removeItem(atPath: old)
        if FileManager.default.fileExists(atPath: path(digest)) {
            try FileManager.default.moveItem(atPath: path(digest), toPath: old)
        }
        do {
            try keep(digest, from: source)
        } catch {
            // What is damaged may still be good for something.
            try? FileManager.default.moveItem(atPath: old, toPath: path(digest))
            throw error
        }
        try? FileManager.default.removeItem(atPath: old)
    }
}
