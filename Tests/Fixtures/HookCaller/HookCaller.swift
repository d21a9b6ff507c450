// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import CKernel
internal import Glibc
internal import StageKit
internal import Synchronization

/// Does over and over what a hook of one kind is asked about, one at a time, and keeps account of what became of each:
/// sends a packet and takes it in, connects, binds, makes a socket. A process of its own, as a cgroup has processes.
@main
struct HookCaller: ParsableCommand {
    @Argument(help: "A kind of hook, such as cgroup-connect4.") var kind: String
    @Option(help: "The file that the account is kept in.") var tally: String
    @Option(help: "The folder of the cgroup to enter first.") var cgroup: String?
    @Option(help: "A pinned program, as the filter of the socket that receives.") var filter: String?
    @Option(help: "The network namespace to send in.") var sendIn: String?
    @Option(help: "The network namespace to receive in.") var receiveIn: String?
    @Option(help: "The address.") var to = "127.0.0.1"
    @Option(help: "The port.") var port: UInt16 = 4242
    @Option(help: "How often; until SIGTERM by default.") var count = UInt64.max
    @Option(help: "How many sockets send, in turn.") var flows = 1
    @Option(help: "Milliseconds to wait for what was sent.") var wait: Int32 = 2000

    mutating func run() throws {
        if let cgroup { try Self.enter(cgroup) }
        guard let hook = HookKind(rawValue: kind) else { throw ValidationError("no kind of hook: \(kind)") }
        let call = try call(for: hook)
        let tally = try Tally(at: tally)
        // Made now: the first use makes it, and a signal may come at any moment.
        isStopping.store(false, ordering: .relaxed)
        signal(SIGTERM) { _ in isStopping.store(true, ordering: .relaxed) }
        while !isStopping.load(ordering: .relaxed), tally.offered < count {
            // Counted before it is done: who reads meanwhile sees at least what the hook has seen.
            tally.offered += 1
            tally.note(try call.once(tally.offered))
        }
    }

    private func call(for hook: HookKind) throws -> any Call {
        let local = Address(hook.rawValue.hasSuffix("6") ? "::1" : to, port)
        switch hook {
        case .xdp, .tcIngress, .tcEgress, .cgroupSkbIngress, .cgroupSkbEgress, .socketFilter:
            let receiver = try inNamespace(receiveIn) { try Self.bound(to: local) }
            if let filter { try receiver.filter(by: filter) }
            let senders: [Socket] = try inNamespace(sendIn) {
                try (0..<flows).map { _ in
                    let sender = try Socket(local.family, SOCK_DGRAM)
                    try sender.connect(local)
                    return sender
                }
            }
            return Datagrams(senders: senders, receiver: receiver, wait: wait)
        case .cgroupConnect4, .cgroupConnect6:
            return Connects(socket: try Socket(local.family, SOCK_DGRAM), address: local)
        case .cgroupSendmsg4, .cgroupSendmsg6:
            return Messages(
                sender: try Socket(local.family, SOCK_DGRAM), receiver: try Self.bound(to: local), address: local,
                wait: wait)
        case .cgroupBind4, .cgroupBind6: return Binds(address: local)
        // Of a new socket nothing is known but its type: another one where another port is asked for.
        case .cgroupSockCreate: return Creations(type: port == 7 ? SOCK_STREAM : SOCK_DGRAM)
        case .sockops:
            let listener = try Socket(local.family, SOCK_STREAM)
            try listener.bind(local)
            try listener.listen()
            return Connections(listener: listener, address: local)
        }
    }

    private static func bound(to local: Address) throws -> Socket {
        let receiver = try Socket(local.family, SOCK_DGRAM)
        try receiver.bind(local)
        return receiver
    }

    private static func enter(_ cgroup: String) throws {
        let file = open("\(cgroup)/cgroup.procs", O_WRONLY | O_CLOEXEC)
        guard file >= 0, write(file, "0", 1) == 1 else { throw CallError("enter cgroup \(cgroup)") }
        close(file)
    }

    /// Sockets stay in the namespace that they were made in.
    private func inNamespace<T>(_ path: String?, _ body: () throws -> T) throws -> T {
        guard let path else { return try body() }
        try Self.move(to: path)
        defer { try? Self.move(to: "/proc/\(getpid())/fd/\(Self.own)") }
        return try body()
    }

    private static let own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)

    private static func move(to path: String) throws {
        _ = own
        let status = ck_lab_enter(path)
        guard status == 0 else { throw CallError("enter network namespace \(path)", errno: -status) }
    }
}

private let isStopping = Atomic(false)

/// What went wrong, and errno's word for it.
struct CallError: Error, CustomStringConvertible {
    let description: String

    init(_ what: String, errno code: Int32 = errno) { description = "\(what): \(String(cString: strerror(code)))" }
}
