// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import SluiceCore
import StageTesting

/// A site, and the model that it is held against; it serves any number of sequences, each of which begins and ends
/// with nothing.
final class Soak {
    let site: Site
    var lab: Lab { site.lab }
    let kernel: SoakKernel
    var traffic: SoakTraffic
    var ledger = SoakLedger()
    var model = SoakModel()
    /// The steps of this sequence so far.
    var trace: [String] = []
    /// Whether somebody has emptied the slot in this sequence.
    var slotWasEmptied = false
    private let baseline: SoakDescriptors

    init(_ lab: Lab) throws {
        site = try Site(lab, plugins: ["volumetric-dos-1_0", "volumetric-dos-1_1", "fixture-stage"])
        for version in SoakRecipe.tallyVersions where version != "1.0" {
            try lab.check(["cp", "-r", "\(site.plugins)/fixture-stage/1.0", "\(site.plugins)/fixture-stage/\(version)"])
        }
        kernel = try SoakKernel(site)
        traffic = try SoakTraffic(lab)
        try site.start(keep: SoakModel.keep)
        // What a daemon opens once, it has opened after its first changes.
        for port in SoakRecipe.ports.prefix(2) { try site.apply(SoakRecipe(stamp: 0, port: port).spec()) }
        model.last = 2
        try site.must("detach", "xdp:edge0")
        baseline = try SoakDescriptors(of: site.daemon!.pid)
    }

    /// Runs the sequence of a seed.
    /// - Returns: How many packets were sent meanwhile.
    /// - Throws: a ``LabError`` with the steps and what is wrong after the last.
    func run(seed: UInt64) throws -> UInt64 {
        trace = []
        slotWasEmptied = false
        do {
            var generator = SoakGenerator(seed: seed)
            for _ in 0..<generator.length() { try take(generator.step(for: model)) }
            if !model.hasInterface { try take(.event(.interfaceMade, .heard)) }
            try checkAll()
            if model.live != nil { try take(.change(.detach)) }
            try checkAll()
            try ledger.expectNothingLeft(lab)
            try checkDescriptors()
            let sent = try traffic.finish()
            traffic = try SoakTraffic(lab)
            return sent
        } catch {
            let steps = trace.enumerated().map { "  \($0.offset + 1). \($0.element)" }.joined(separator: "\n")
            let log = (site.daemon?.errors ?? "").split(separator: "\n").suffix(25).joined(separator: "\n")
            throw LabError(
                "after the last of these steps:\n\(steps)\n\(error)\nonce more: make soak SEED=\(seed) SEQUENCES=1\n"
                    + "the daemon's log ends with:\n\(log)")
        }
    }

    /// Waits until the daemon has no more open than it had.
    private func checkDescriptors() throws {
        func beyond() throws -> [String] { try SoakDescriptors(of: site.daemon!.pid).beyond(baseline) }
        do {
            try lab.until("descriptors are closed") { try beyond().isEmpty }
        } catch {
            throw LabError("the daemon has open: \(try beyond())")
        }
    }

    private func take(_ step: SoakStep) throws {
        trace.append(step.description)
        try perform(step)
        try check()
        try traffic.block(model.isFiltering)
    }
}
