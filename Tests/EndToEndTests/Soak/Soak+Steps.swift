// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceCore
import StageTesting

extension Soak {
    func perform(_ step: SoakStep) throws {
        switch step {
        case .change(let change):
            let after = model.after(change)
            if !(model.isFiltering && after.isFiltering) { try traffic.block(false) }
            try carryOut(change)
            model = after
        case .crash(let change, let point): try crash(change, at: point)
        case .refused(let refusal): try refuse(refusal)
        case .outage(let end, let event):
            if event != nil { try traffic.block(false) }
            switch end {
            case .kill: site.killDaemon()
            case .stop:
                site.daemon!.terminate()
                guard try site.daemon!.wait() == .exited(0) else {
                    throw LabError("the daemon did not end as asked to")
                }
            }
            if let event { try happen(event) }
            try site.start(keep: SoakModel.keep)
            try settle()
        case .event(let event, let remedy):
            try traffic.block(false)
            try happen(event)
            switch remedy {
            case .heard: if event.command != nil { try site.poke() }
            case .repair: try expectSuccess(site.ctl("doctor", "--repair"))
            case .apply(let recipe):
                try expectSuccess(ask(for: .apply(recipe)))
                model = model.after(.apply(recipe))
            }
            try settle()
        }
    }

    /// Waits until the daemon has seen and mended what has happened.
    private func settle() throws {
        do {
            try lab.until("the kernel is as it should be", timeout: .seconds(5)) { kernel.faults(model).isEmpty }
        } catch {
            throw LabError("this stays: \(kernel.faults(model).joined(separator: "; "))")
        }
    }

    private func expectSuccess(_ result: Site.Result) throws {
        guard result.succeeded else { throw LabError("failed (\(result.status)): \(result.errors)\(result.output)") }
    }

    private func ask(for change: SoakChange) throws -> Site.Result {
        let hook = "xdp:edge0"
        switch change {
        case .apply(let recipe): return try site.ctl("apply", "-f", "-", input: recipe.spec())
        case .reapply:
            let result = try site.ctl("apply", "-f", "-", input: model.recipe!.spec())
            guard !result.succeeded || result.output.contains("nothing to change") else {
                throw LabError("something was changed: \(result.output)")
            }
            return result
        case .upgrade(let stage, let version): return try site.ctl("upgrade", hook, stage, "--to", version)
        case .rollback(nil): return try site.ctl("rollback", hook)
        case .rollback(let place?): return try site.ctl("rollback", hook, "--to", "\(model.kept[place])")
        case .gc: return try site.ctl("gc")
        case .detach: return try site.ctl("detach", hook)
        case .canary(.upgrade(let stage, let version), let trial):
            return try site.ctl(["upgrade", hook, stage, "--to", version] + trial.options)
        case .canary(.apply(let recipe), let trial):
            return try site.ctl(["apply", "-f", "-"] + trial.options, input: recipe.spec())
        case .canary(let change, _): fatalError("\(change) cannot be a canary")
        case .promote: return try site.ctl("canary", "promote", hook)
        case .abort: return try site.ctl("canary", "abort", hook)
        }
    }

    private func carryOut(_ change: SoakChange) throws {
        let result = try ask(for: change)
        guard case .canary(_, let trial) = change else { return try expectSuccess(result) }
        guard result.status == .exited(trial == .aborted ? 3 : 0) else {
            throw LabError("ended otherwise (\(result.status)): \(result.errors)\(result.output)")
        }
        guard trial == .promotedAfterKill else { return }
        site.killDaemon()
        try ledger.note(site)
        try site.start(keep: SoakModel.keep)
        // With all that follows the flip.
        let after = model.after(change)
        try lab.until("it is promoted", timeout: .seconds(5)) { kernel.faults(after).isEmpty }
    }

    private func crash(_ change: SoakChange, at point: FaultPoint) throws {
        if !(model.isFiltering && model.after(change).isFiltering) { try traffic.block(false) }
        site.killDaemon()
        try site.start(fault: point.rawValue, keep: SoakModel.keep)
        let result = try ask(for: change)
        if result.succeeded {
            // The change has no such step this time.
            model = model.after(change)
            site.killDaemon()
            try site.start(keep: SoakModel.keep)
            return
        }
        guard (try? site.daemon!.wait(timeout: .seconds(5))) == .signaled(9) else { return try expectSuccess(result) }
        try ledger.note(site)
        try site.start(keep: SoakModel.keep)
        let query = "SELECT coalesce(max(number), 0) FROM generation"
        let last = Int(try lab.check(["sqlite3", "\(site.state)/sluice.db", query]).split(separator: "\n")[0])!
        let (course, pinned) = (try kernel.course(), kernel.generations())
        guard let settled = model.settled(change, seen: course, generations: pinned, last: last) else {
            throw LabError("neither old nor new: \(course), \(pinned) are pinned, the last was \(last)")
        }
        model = settled
    }

    private func refuse(_ refusal: SoakRefusal) throws {
        let before = try site.snapshot()
        let recipe = model.recipe ?? SoakRecipe(stamp: 0, port: SoakRecipe.ports.lowerBound)
        func apply(_ fault: String) throws -> Site.Result {
            try site.ctl("apply", "-f", "-", input: recipe.spec(fault: fault))
        }
        let result =
            switch refusal {
            case .unknownVersion: try site.ctl("upgrade", "xdp:edge0", "dos", "--to", "9.9")
            case .unknownStage: try site.ctl("upgrade", "xdp:edge0", "nothing", "--to", "1.0")
            case .unknownGeneration: try site.ctl("rollback", "xdp:edge0", "--to", "99999")
            case .brokenPlugin: try apply("misbehave: crash")
            case .refusingPlugin: try apply("misbehave: refuse")
            case .badEntry: try apply("misbehave: bad-entry")
            case .badSample: try apply("misbehave: bad-sample")
            case .verifier: try apply("program: refused")
            case .wrongVerdict: try apply("program: wrong-verdict")
            case .applyInCanary: try site.ctl("apply", "-f", "-", input: SoakRecipe(stamp: 0, port: 20).spec())
            case .upgradeInCanary: try site.ctl("upgrade", "xdp:edge0", "dos")
            case .canaryInCanary: try site.ctl(["upgrade", "xdp:edge0", "dos"] + SoakTrial.open.options)
            case .rollbackToCandidate: try site.ctl("rollback", "xdp:edge0", "--to", "\(model.candidate!)")
            case .promoteNothing: try site.ctl("canary", "promote", "xdp:edge0")
            case .abortNothing: try site.ctl("canary", "abort", "xdp:edge0")
            }
        guard result.status == .exited(1) else { throw LabError("was not refused: \(result.status) \(result.output)") }
        let after = try site.snapshot()
        guard before == after else { throw LabError("a refusal changed something: \(before)\nis now \(after)") }
    }

    /// Does to the site what somebody else does.
    private func happen(_ event: SoakEvent) throws {
        if let command = event.command {
            if event == .slotEmptied { slotWasEmptied = true }
            // The splitter has gone with the slot, and nothing is tried with a stable side that is broken.
            if event == .slotEmptied || event == .arrayUnpinned { model.abort() }
            let folder = site.hookFolder
            try lab.check(["sh", "-c", "H=\(folder); G=\(folder)/g\(model.live!); \(command)"])
        }
        if event == .interfaceDeleted || event == .interfaceReplaced {
            try traffic.stop()
            try lab.ip(["link del edge0"])
            model.hasInterface = false
        }
        if event == .interfaceMade || event == .interfaceReplaced {
            try site.addInterface()
            try lab.until("both ends are up") {
                try [nil, "client"].allSatisfy { netns in
                    try lab.check(["ip", "-brief", "link", "show", "type", "veth"], netns: netns).contains(" UP ")
                }
            }
            try traffic.start()
            model.hasInterface = true
        }
    }
}
