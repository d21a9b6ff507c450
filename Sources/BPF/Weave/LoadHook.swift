// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import Synchronization

/// Gets a word in right before libbpf loads a program (`prog_prepare_load_fn`): to see what it loads, or to change it.
enum LoadHook {
    /// Returns 0, or a negative errno to refuse.
    typealias Body = (OpaquePointer, UnsafeMutablePointer<bpf_prog_load_opts>) -> Int32

    /// Runs `load`; when it comes to `program`, `body` is called first, on this thread.
    static func with<Result>(_ body: @escaping Body, for program: OpaquePointer, _ load: () -> Result) -> Result {
        let entry = Entry(body: body)
        bodies.withLock { $0[UInt(bitPattern: program)] = entry }
        defer { _ = bodies.withLock { $0.removeValue(forKey: UInt(bitPattern: program)) } }
        return load()
    }

    /// Never sent anywhere: a program is loaded by the thread that loads its object.
    private struct Entry: @unchecked Sendable { let body: Body }

    private static let bodies = Mutex<[UInt: Entry]>([:])

    /// Has to be done before an object is opened. What libbpf's own handlers of these sections do besides is of no use
    /// here: the loader sets type, attach type and flags itself.
    static let install: Void = {
        withOptions(libbpf_prog_handler_opts.self, size: \.sz) { options in
            options.pointee.prog_prepare_load_fn = { program, options, _ in
                guard let program, let options,
                    let entry = LoadHook.bodies.withLock({ $0[UInt(bitPattern: program)] })
                else { return 0 }
                return entry.body(program, options)
            }
            for section in sections { libbpf_register_prog_handler(section, BPF_PROG_TYPE_XDP, BPF_XDP, options) }
            // Any other name, which the oldest loaders took for nothing but a name.
            libbpf_register_prog_handler(nil, BPF_PROG_TYPE_UNSPEC, BPF_XDP, options)
        }
    }()

    /// The sections that libbpf knows by itself, of all hooks that a chain can be at.
    private static let sections = [
        "xdp", "xdp.frags", "tc", "classifier", "action", "tc/ingress", "tc/egress", "tcx/ingress", "tcx/egress",
        "cgroup_skb/ingress", "cgroup_skb/egress", "cgroup/skb", "cgroup/sock", "cgroup/sock_create", "sockops",
        "socket",
        "cgroup/connect4", "cgroup/connect6", "cgroup/sendmsg4", "cgroup/sendmsg6", "cgroup/bind4", "cgroup/bind6",
    ]
}
