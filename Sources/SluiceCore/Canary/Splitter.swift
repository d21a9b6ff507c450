// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import SluiceObjects

/// The splitter of bpf/SluiceObjects/splitter.h: loads it and puts all that it needs into the canary's folder.
/// No packet sees it before it is in `entry[0]`.
struct Splitter {
    let directory: HookDirectory
    let manifest: CanaryManifest
    let chain: ResolvedChain

    private var target: CanaryDirectory { directory.canary }

    func build() throws {
        try Bpffs.removeTree(target.path)
        try Bpffs.makeFolder(target.path)
        let kind = directory.hook.program(frags: chain.frags)
        let object = try BPFObject(own: .splitter, for: kind)
        let thresholds = manifest.shares.map(Self.threshold)
        let unused = [UInt32](repeating: 0, count: CanaryPlan.maxSteps - thresholds.count)
        try object.setConstant("sluice_thresholds", bytes: (thresholds + unused).flatMap { bytes(of: $0) })
        try object.setConstant("sluice_seed", to: UInt64.random(in: .min ... .max))
        try object.setConstant("sluice_on_fault", to: chain.spec.onFault.number)
        try object.setConstant("sluice_frags", to: chain.frags ? 1 : 0)
        try object.letSecondBitThrough(at: directory.hook.kind)
        try object.load(program: Self.program, as: kind)
        let sides = try object.loadedMap("sluice_sides")
        // Pinned before it is filled: an array without a pin empties itself with its last descriptor.
        try sides.pin(at: target.sides)
        for (side, number) in [manifest.stable, manifest.candidate].enumerated() {
            let head = try BPFProgram.pinned(at: directory.generation(number).stage(1))
            try sides.update(key: bytes(of: UInt32(side)), value: bytes(of: head.fd.raw))
        }
        try sides.freeze()
        try object.loadedMap("sluice_step").pin(at: target.step)
        try object.loadedMap("sluice_counts").pin(at: target.counts)
        let meta = try FrozenJSON.store(manifest, named: "sluice_canary", at: target.meta)
        let splitter = try object.program(Self.program)
        try splitter.bind(meta)
        try splitter.pin(at: target.splitter)
    }

    private static let program = OwnProgram.splitter.rawValue

    /// Below which number of 32 bits a flow's lot falls to the candidate.
    private static func threshold(_ percent: Double) -> UInt32 {
        UInt32(min(percent / 100 * 4_294_967_296, 4_294_967_295).rounded())
    }
}
