// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
public import StageKit

/// What `run` of the stage knows of its traffic: the samples of the last seconds, and, in auto mode, attacks.
///
/// Times are seconds on a clock that does not jump, from 0 on, never less than before.
public struct TrafficWatch: Sendable {
    private static let seconds = 10.0
    /// What comes earlier may have waited in the ring buffer for who knows how long.
    private static let settled = 1.0

    private var window = SampleWindow<Observation>()
    private var weights = SampleWeights()
    private var finder: AttackFinder?
    private var lost = 0

    public init(_ auto: AutoConfiguration?) {
        finder = auto.map(AttackFinder.init)
    }

    /// - Parameters:
    ///   - records: As they came from the ring buffer; what is no sample is ignored.
    ///   - lost: How many were thrown away before these.
    public mutating func take(_ records: [Bytes], lost: Int = 0, at time: Double) {
        self.lost += lost
        for record in records {
            guard let sample = PacketSample(record) else { continue }
            let weight = weights.weight(cpu: sample.cpu, seen: sample.seen)
            if time >= Self.settled { window.add(Observation(sample, packets: weight), at: time) }
        }
    }

    /// Looks at what came; to be called a few times a second.
    /// - Returns: What to do.
    public mutating func step(at time: Double) -> [AutoAction] {
        finder?.step(window, at: time) ?? []
    }

    /// The manager has made the change.
    public mutating func done(_ change: AutoChange, at time: Double) {
        finder?.done(change, at: time)
    }

    /// The manager has not made the change.
    public mutating func refused(_ change: AutoChange, at time: Double) {
        finder?.refused(change, at: time)
    }

    /// Answers `{"top": "sources"}` and so on, and `{"top": "proposals"}`.
    /// - Throws: ``StageError`` that names what can be asked.
    public func answer(_ question: JSON, at time: Double) throws -> StageTable {
        let question = try question.decode(TopQuestion<TopSubject>.self)
        guard var table = Ranking(window.last(Self.seconds, at: time)).table(question.subject, question.limit) else {
            guard let finder else {
                throw StageError("the stage's configuration has no auto: to propose rules", at: "top")
            }
            return finder.table(at: time)
        }
        if lost > 0 { table.notes.append("\(lost) samples were lost since the start") }
        return table
    }

    /// Samples that are kept; for tests of the bound.
    var sampleCount: Int { window.count }
}
