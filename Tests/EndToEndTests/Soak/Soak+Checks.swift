// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageTesting

extension Soak {
    /// What must hold after each step: kernel, `status` and model agree.
    func check() throws {
        try traffic.expectNothingCameThrough()
        try ledger.note(site)
        var faults = SoakFaults()
        faults.add(kernel.faults(model))
        try checkStatus(&faults)
        try faults.check()
    }

    private func checkStatus(_ faults: inout SoakFaults) throws {
        let result = try site.ctl("status", "xdp:edge0", "--output", "json")
        // A hook that never had a chain is not known at all.
        if model.live == nil, result.errors.contains("there is no chain") { return }
        let status: ChainStatus = try site.decode(result.output)
        faults.expect("status: live", status.live, model.live)
        faults.expect("status: candidate", status.canary?.candidate, model.candidate)
        guard let recipe = model.recipe else { return faults.expect("status: state", status.state, .detached) }
        faults.expect("status: state", status.state, model.hasInterface ? .live : .waiting)
        faults.expect("status: mode", status.mode, model.hasInterface ? "native" : nil)
        faults.expect("status: stages", status.stages.map { "\($0.name) \($0.title)" }, recipe.titles)
        if !slotWasEmptied { faults.expect("status: packets through the root", status.rootFallbacks, 0) }
    }

    /// What must hold after a sequence: records, artifacts and `doctor` agree as well, and no packet saw two generations.
    func checkAll() throws {
        var faults = SoakFaults()
        let query = "SELECT number || ' ' || state FROM generation WHERE state <> 'retired' ORDER BY number"
        faults.expect(
            "rows",
            try lab.check(["sqlite3", "\(site.state)/sluice.db", query]).split(separator: "\n").map(String.init),
            model.generations.keys.sorted().map { number in
                "\(number) \(number == model.live ? "live" : number == model.candidate ? "canary" : "kept")"
            })
        faults.expect("artifacts", Set(SoakKernel.names(in: "\(site.state)/artifacts")), try kernel.artifacts(model))
        faults.expect("packets that saw two generations", try kernel.mixed(model), 0)
        let doctor: DoctorReport = try site.decode(site.ctl("doctor", "--output", "json").output)
        faults.add(doctor.findings.filter { $0.level == .problem }.map { "doctor: \($0.subject): \($0.message)" })
        try faults.check()
    }
}
