// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import StageKit

/// What a plugin can do wrong, in its process and in its plan.
enum Misbehaviour: String, Codable, CaseIterable {
    /// Dies of a signal.
    case crash
    /// Exits with status 3, and says why on standard error.
    case exit
    /// Never answers.
    case hang
    /// Writes without end.
    case flood
    /// Answers with a line that is no JSON.
    case garbage
    /// Answers for another version of the protocol.
    case wrongProtocol = "wrong-protocol"
    /// Refuses the configuration, as a plugin should.
    case refuse

    case unknownMap = "unknown-map"
    case unknownConstant = "unknown-constant"
    case unknownProgram = "unknown-program"
    /// A constant of the manager's.
    case reservedConstant = "reserved-constant"
    /// A map entry whose key has not the map's size.
    case badEntry = "bad-entry"
    /// Contents for a map that is state.
    case stateEntry = "state-entry"
    /// An object that is not there.
    case badObject = "bad-object"
    /// An object outside of the plugin's folder.
    case escape
    /// A sample whose expectation does not hold.
    case badSample = "bad-sample"
    /// A sample too short for a test run.
    case shortSample = "short-sample"
    /// A counter table of a map that is not there.
    case badCounters = "bad-counters"
    /// Records from a map that is no ring buffer.
    case badRing = "bad-ring"
    /// A map to be changed while live that is not there, whose type cannot be, that is frozen.
    case liveNoMap = "live-no-map"
    case liveBadType = "live-bad-type"
    case liveFrozen = "live-frozen"

    func apply(to plan: inout StagePlan) throws {
        switch self {
        case .crash:
            signal(SIGABRT, SIG_DFL)  // No backtrace of it, which takes seconds.
            abort()
        case .exit:
            Self.write("fixture-stage: gives up\n", to: STDERR_FILENO)
            Glibc.exit(3)
        case .hang: while true { pause() }
        case .flood:
            let chunk = String(repeating: "flood ", count: 10_000)
            while true { Self.write(chunk, to: Self.output) }
        case .garbage:
            Self.write("this is no JSON\n", to: Self.output)
            Glibc.exit(0)
        case .wrongProtocol:
            Self.write(#"{"sluice":99,"id":1,"result":{}}"# + "\n", to: Self.output)
            Glibc.exit(0)
        case .refuse: throw StageError("refused on request", at: "misbehave")
        case .unknownMap: plan.maps["no_such_map"] = MapPlan(maxEntries: 1)
        case .unknownConstant: plan.constants["no_such_constant"] = .integer(1)
        case .unknownProgram: plan.program = "no_such_program"
        case .reservedConstant: plan.constants["sluice_next"] = .integer(7)
        case .badEntry: plan.maps["sluice_counters"] = MapPlan(entries: [MapEntry(key: Bytes([1]), value: Bytes([1]))])
        case .stateEntry:
            let (key, value) = ([UInt8](repeating: 0, count: 4), [UInt8](repeating: 0, count: 16))
            plan.maps["marks"] = MapPlan(entries: [MapEntry(key: Bytes(key), value: Bytes(value))])
        case .badObject: plan.object = "no_such_object.bpf.o"
        case .escape: plan.object = "../" + plan.object
        case .badSample:
            plan.samples = plan.samples.map { sample in
                Sample(name: sample.name, packet: sample.packet, expect: sample.expect == .drop ? .pass : .drop)
            }
            plan.verdicts = Verdict.allCases
        case .shortSample: plan.samples = [Sample(name: "a stump", packet: Bytes([1, 2, 3]), expect: .next)]
        case .badCounters:
            plan.counters = [CounterTable(name: "none", map: "no_such_map", columns: ["packets"], rows: ["all"])]
        case .badRing: plan.ring = "marks"
        case .liveNoMap: plan.live = ["no_such_map"]
        case .liveBadType: plan.live = ["remembered"]
        case .liveFrozen:
            plan.live = ["live_ports"]
            plan.maps["live_ports"] = MapPlan(freeze: true)
        }
    }

    /// The protocol's output. StageKit keeps it in a descriptor of its own and gives standard output to the errors: it
    /// is the one other than 0, 1 and 2 that is a pipe or socket.
    private static var output: Int32 {
        for descriptor in Int32(3)..<64 {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { continue }
            if [S_IFIFO, S_IFSOCK].contains(status.st_mode & S_IFMT) { return descriptor }
        }
        return STDOUT_FILENO
    }

    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }
}
