// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import Glibc

/// Runs `body` in another network namespace. Namespaces belong to threads: `body` is synchronous, and should hold
/// only system calls. Needs `CAP_SYS_ADMIN`. A thread that could not come back would poison the process, so then it
/// ends.
/// - Parameter path: the namespace's file, `/run/netns/edge`; nil for the one the thread is in.
public func inNetworkNamespace<Result: ~Copyable>(
    _ path: String?, _ body: () throws(BPFError) -> Result
) throws(BPFError) -> Result {
    guard let path else { return try body() }
    let home = try OwnedFD.open("/proc/thread-self/ns/net", flags: O_RDONLY)
    let raw = ck_open_netns(path)
    guard raw >= 0 else {
        let error = Errno.current
        throw BPFError(
            "open", path, cause: error == .invalid ? "it is not a network namespace" : nil,
            errno: error == .invalid ? nil : error)
    }
    let target = OwnedFD(taking: raw)
    guard ck_enter_netns(target.raw) == 0 else {
        throw BPFError("enter network namespace", path, errno: .current)
    }
    defer {
        if ck_enter_netns(home.raw) != 0 { fatalError("cannot leave network namespace \(path): \(Errno.current)") }
    }
    return try body()
}
