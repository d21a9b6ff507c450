// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import SluiceAPI
internal import StageKit

/// An adopted stage with every question answered.
struct PreparedObject {
    /// As asked for, with the program's name filled in.
    var spec: StageSpec
    var resolved: ResolvedStage
    /// The object file.
    var path: String
    var notes: [String]
}

extension Manager {
    /// Reads and checks the object that a stage adopts.
    /// - Parameter kept: the stage as it is built already, whose copy of the object is to be used; nil to read the
    ///   file that the spec names.
    func prepare(
        _ stage: StageSpec, adopting source: ObjectSource, at kind: HookKind, frags: Bool, kept: ResolvedStage?
    ) throws -> PreparedObject {
        let path = kept.map { "\(artifacts.path($0.artifact))/\($0.plan.object)" } ?? source.path
        return try failing("stage \"\(stage.name)\"") {
            let name = (path as NSString).lastPathComponent
            guard PluginName.isFile(name) else {
                throw APIErrorBody.refused(
                    "cannot adopt \(path): the file's name may hold letters, digits and . _ + - only; rename it")
            }
            try Self.checkFile(path)
            let digest = try artifacts.digest(of: path)
            let object = try BPFObject(contentsOf: path)
            let check = try AdoptionCheck(stage: stage.name, source: source, object: object, kind: kind, frags: frags)
                .run()
            var source = source
            source.program = check.program
            return PreparedObject(
                spec: StageSpec(name: stage.name, source: .object(source)),
                resolved: ResolvedStage(
                    name: stage.name, source: .adopted(.init(proceedOn: source.proceedOn)), artifact: digest,
                    plan: check.plan, state: check.state),
                path: path, notes: check.notes)
        }
    }

    /// A pipe would keep the manager waiting, and a disk would fill its memory.
    static func checkFile(_ path: String) throws {
        let file = URL(filePath: path).resolvingSymlinksInPath().path
        let attributes: [FileAttributeKey: Any]
        do {
            attributes = try FileManager.default.attributesOfItem(atPath: file)
        } catch {
            throw APIErrorBody.notFound("\(path): cannot be read; correct the path of the object, or install it")
        }
        guard attributes[.type] as? FileAttributeType == .typeRegular, (attributes[.size] as? Int ?? 0) <= 64 << 20
        else { throw APIErrorBody.refused("\(path) is no file of at most 64 MiB") }
    }
}
