// SPDX-License-Identifier: Apache-2.0

internal import BPF

/// A program that somebody else attached to a hook, and how.
struct ForeignProgram: Hashable {
    enum Manner: Hashable, CustomStringConvertible {
        /// Of XDP.
        case native, generic
        /// Of traffic control.
        case tcx
        case classifier(priority: Int, handle: Int)
        /// Of a cgroup, beside others.
        case multi

        init(_ mode: XDPMode) { self = mode == .native ? .native : .generic }

        /// As a pin's name has it.
        init?(name: some StringProtocol) {
            let parts = name.split(separator: "-")
            switch (parts.first, parts.dropFirst().compactMap { Int($0) }) {
            case ("native", []): self = .native
            case ("generic", []): self = .generic
            case ("tcx", []): self = .tcx
            case ("multi", []): self = .multi
            case ("clsact", let place) where place.count == 2:
                self = .classifier(priority: place[0], handle: place[1])
            default: return nil
            }
        }

        var name: String {
            switch self {
            case .classifier(let priority, let handle): "clsact-\(priority)-\(handle)"
            default: description
            }
        }

        var description: String {
            switch self {
            case .native: "native"
            case .generic: "generic"
            case .tcx: "tcx"
            case .classifier(let priority, let handle):
                "clsact, priority \(priority), handle 0x\(String(handle, radix: 16))"
            case .multi: "multi"
            }
        }

        /// The mode of a chain that stands in for it.
        var mode: AttachMode {
            switch self {
            case .native: .native
            case .generic: .generic
            case .tcx, .multi: .auto
            case .classifier: .clsact
            }
        }

        /// Of XDP.
        var xdpMode: XDPMode { self == .generic ? .generic : .native }
    }

    /// The kernel's id. A pin keeps the program, and with it the id.
    var id: UInt32
    var manner: Manner

    init(_ id: UInt32, _ manner: Manner) {
        self.id = id
        self.manner = manner
    }

    /// As pins are named: `native_158`.
    init?(name: some StringProtocol) {
        let parts = name.split(separator: "_")
        guard parts.count == 2, let manner = Manner(name: parts[0]), let id = UInt32(parts[1]) else { return nil }
        self.init(id, manner)
    }

    var name: String { "\(manner.name)_\(id)" }

    /// Whether another one cannot be where it is.
    func isInTheWay(of other: ForeignProgram) -> Bool {
        id != other.id && manner == other.manner && manner != .tcx && manner != .multi
    }

    /// `program "xdp_filter" (#158, native)`; the name only where it may be looked up.
    var title: String {
        let name: String? = if let program = BPFProgram.withID(id) { program.name } else { nil }
        return "program \(name.map { "\"\($0)\" " } ?? "")(#\(id), \(manner))"
    }
}
