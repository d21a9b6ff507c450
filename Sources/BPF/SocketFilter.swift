// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The filter of a socket: one program, which sees each packet before it is queued. It is attached to the socket itself,
/// without a link, and stays for as long as the socket lives.
public enum SocketFilter {
    /// Makes a program the socket's filter, in the place of the one that is there (`SO_ATTACH_BPF`, Linux 3.19). Takes no
    /// capability, only the socket.
    /// - Throws: `EPERM` when the socket's filter is locked, `ENOMEM` when its memory for options (`optmem_max`) is used up.
    public static func attach(_ program: borrowing BPFProgram, to socket: Int32) throws(BPFError) {
        var program = program.fd.raw
        guard setsockopt(socket, SOL_SOCKET, SO_ATTACH_BPF, &program, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw BPFError("attach", "to a socket", errno: .current)
        }
    }

    /// Takes off whatever filter the socket has (`SO_DETACH_BPF`); quietly when it has none.
    /// - Throws: `EPERM` when the filter is locked.
    public static func detach(from socket: Int32) throws(BPFError) {
        var unused: Int32 = 0
        let result = setsockopt(socket, SOL_SOCKET, SO_DETACH_BPF, &unused, socklen_t(MemoryLayout<Int32>.size))
        guard result == 0 || errno == ENOENT else { throw BPFError("detach", "a socket's filter", errno: .current) }
    }
}
