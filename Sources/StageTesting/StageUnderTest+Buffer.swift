// SPDX-License-Identifier: Apache-2.0

public import BPF
internal import StageKit

extension StageUnderTest {
    /// What a stage of traffic control does with a packet with such a buffer around it, which is then as the stage left it.
    @discardableResult
    public func run(_ packet: [UInt8], buffer: inout PacketBuffer) throws -> Outcome {
        let before = try count(.next)
        let run = try program.testRun(packet: packet, buffer: &buffer)
        let wentOn = try count(.next) > before
        return Outcome(verdict: wentOn ? .next : hook.verdict(returned: run.returnValue), packet: run.output)
    }

    /// Sets an entry of a map, as the manager does for a reference to a cgroup.
    public func set(in map: String, key: [UInt8], value: [UInt8]) throws {
        try object.loadedMap(map).update(key: key, value: value)
    }
}
