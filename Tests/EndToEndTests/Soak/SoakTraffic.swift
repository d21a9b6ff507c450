// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageTesting

/// A stream that no generation drops, of which every packet must arrive, and one that all drop, of which none may while
/// the chain stands.
final class SoakTraffic {
    private let lab: Lab
    private var open: (sender: SequenceSender, receiver: SequenceReceiver)?
    private let blocked: SequenceReceiver
    private var intruder: SequenceSender?
    private(set) var sent: UInt64 = 0

    init(_ lab: Lab) throws {
        self.lab = lab
        blocked = try SequenceReceiver(lab: lab, on: Site.edge, port: SoakRecipe.blocked)
        try start()
    }

    /// Starts what must arrive.
    func start() throws {
        let receiver = try SequenceReceiver(lab: lab, on: Site.edge, port: SoakRecipe.open)
        let sender = try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: SoakRecipe.open, rate: 1000)
        open = (sender, receiver)
    }

    /// Ends it and draws the balance.
    func stop() throws {
        guard let (sender, receiver) = open else { return }
        open = nil
        let report = try receiver.report(sent: sender.stop())
        sent += report.sent
        guard report.isPerfect, report.reordered == 0, report.foreign == 0 else {
            throw LabError("the stream that must pass: \(report)")
        }
    }

    /// Sends what must be dropped, or pauses it while it may come through.
    func block(_ isFiltering: Bool) throws {
        if isFiltering {
            guard intruder == nil else { return }
            intruder = try SequenceSender(
                lab: lab, netns: "client", to: Site.edge, port: SoakRecipe.blocked, rate: 500)
        } else if let sender = intruder {
            intruder = nil
            sent += try sender.stop()
            // What was on its way arrives.
            usleep(2_000)
        }
    }

    func expectNothingCameThrough() throws {
        guard blocked.arrived == 0 else { throw LabError("\(blocked.arrived) packets came through that all drop") }
    }

    /// Ends all, and hands back how many packets were sent.
    func finish() throws -> UInt64 {
        try block(false)
        try stop()
        _ = try blocked.report(sent: 0)
        try expectNothingCameThrough()
        return sent
    }
}
