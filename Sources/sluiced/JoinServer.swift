// SPDX-License-Identifier: Apache-2.0

import CKernel
import Foundation
import Glibc
import Logging
import ServiceLifecycle
import SluiceAPI
import SluiceCore
import SluiceSockets
import Synchronization

/// What sockets join and leave.
protocol SocketGroups: Sendable {
    func join(_ group: String, _ sockets: [Descriptor], replace: Bool, by caller: Caller) async throws -> Int
    func leave(_ group: String, _ sockets: [Descriptor], by caller: Caller) async throws -> Int
}

extension Manager: SocketGroups {}

/// The socket that sockets are passed through: a message each, with descriptors (SCM_RIGHTS), and one answer
/// (docs/sockets.md). Its mode says who may: whoever holds a socket may set its filter anyway.
///
/// On a thread of its own, as no event loop here takes descriptors; the work itself is the manager's.
final class JoinServer: Service {
    /// Connections at a time, those that wait for their answer included. Who comes when there are so many waits.
    static let limit = 16
    /// How long one may be open before its message has come.
    static let patience = Duration.seconds(5)

    let socket: ListeningSocket
    private let groups: any SocketGroups
    private let logger: Logger
    private let wake: Int32
    private let open = Atomic(0)
    private let isStopping = Atomic(false)

    init(socket: ListeningSocket, groups: any SocketGroups, logger: Logger) throws(Failure) {
        self.socket = socket
        self.groups = groups
        self.logger = logger
        wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard wake >= 0 else { throw Failure(operation: "make an event descriptor") }
        // Messages with all the descriptors they may have, from as many as may be connected, and as much for the rest.
        var limits = rlimit()
        let wanted = rlim_t(2 * Self.limit * SocketGroup.most)
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0, limits.rlim_cur < wanted {
            limits.rlim_cur = min(limits.rlim_max, wanted)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
        }
    }

    deinit { close(wake) }

    func run() async throws {
        await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                let thread = Thread { [self] in
                    serve()
                    continuation.resume()
                }
                thread.name = "sluice-join"
                thread.start()
            }
        } onGracefulShutdown: {
            self.isStopping.store(true, ordering: .releasing)
            eventfd_write(self.wake, 1)
        }
        while open.load(ordering: .acquiring) > 0 { try? await Task.sleep(for: .milliseconds(10)) }
        close(socket.descriptor)
        guard isStopping.load(ordering: .acquiring) else { throw Failure("sockets cannot join any more") }
    }

    private struct Waiting {
        var connection: Descriptor
        var until: ContinuousClock.Instant
    }

    private func serve() {
        var waiting: [Waiting] = []
        while !isStopping.load(ordering: .acquiring) {
            let isFull = open.load(ordering: .acquiring) >= Self.limit
            var polled = [
                pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
                pollfd(fd: isFull ? -1 : socket.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            polled += waiting.map { pollfd(fd: $0.connection.raw, events: Int16(POLLIN), revents: 0) }
            let next = waiting.map(\.until).min().map { max(0, ($0 - .now) / .milliseconds(1)) + 1 }
            guard poll(&polled, nfds_t(polled.count), next.map { Int32($0) } ?? -1) >= 0 || errno == EINTR else {
                logger.critical("cannot wait for sockets: \(String(cString: strerror(errno)))")
                break
            }
            var count: UInt64 = 0
            if polled[0].revents != 0 { eventfd_read(wake, &count) }
            var still: [Waiting] = []
            for (connection, ready) in zip(waiting, polled.dropFirst(2)) {
                if ready.revents != 0 {
                    receive(from: connection.connection)
                } else if connection.until < .now {
                    done()
                } else {
                    still.append(connection)
                }
            }
            waiting = still
            if polled[1].revents != 0, let connection = accept() {
                waiting.append(Waiting(connection: connection, until: .now + Self.patience))
            }
        }
        for _ in waiting { done() }
    }

    private func accept() -> Descriptor? {
        let raw = ck_accept(socket.descriptor)
        guard raw >= 0 else {
            // Without descriptors to spare it would come back at once.
            if errno == EMFILE || errno == ENFILE { usleep(100_000) }
            return nil
        }
        open.add(1, ordering: .acquiringAndReleasing)
        return Descriptor(raw)
    }

    /// A connection has ended: there is room for another.
    private func done() {
        open.subtract(1, ordering: .acquiringAndReleasing)
        eventfd_write(wake, 1)
    }

    /// Takes the one message of a connection, and has it answered.
    private func receive(from connection: Descriptor) {
        var bytes = [UInt8](repeating: 0, count: 256)
        var raw = [Int32](repeating: -1, count: SocketGroup.most)
        var count: Int32 = 0
        let length = ck_receive_descriptors(connection.raw, &bytes, bytes.count, &raw, &count)
        let failure = errno
        let sockets = raw.prefix(Int(count)).map { Descriptor($0) }
        guard length > 0 else {
            if length < 0, failure == EMSGSIZE {
                answer(connection, "ERROR a message has at most 256 bytes and \(SocketGroup.most) sockets")
            }
            done()
            return
        }
        let text = String(decoding: bytes.prefix(length), as: UTF8.self)
        Task {
            answer(connection, await reply(to: text, sockets, from: connection))
            done()
        }
    }

    private func reply(to text: String, _ sockets: [Descriptor], from connection: Descriptor) async -> String {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        do {
            guard !sockets.isEmpty else { throw Failure("the message came without sockets (SCM_RIGHTS)") }
            let caller = await Caller(try Peer(descriptor: connection.raw))
            switch words.first {
            case "join" where words.count == 2 || (words.count == 3 && words[2] == "replace"):
                return "OK \(try await groups.join(words[1], sockets, replace: words.count == 3, by: caller))"
            case "leave" where words.count == 2:
                return "OK \(try await groups.leave(words[1], sockets, by: caller))"
            default:
                throw Failure("expected \"join GROUP\", \"join GROUP replace\" or \"leave GROUP\"")
            }
        } catch {
            return "ERROR " + ((error as? APIErrorBody)?.message ?? "\(error)")
        }
    }

    private func answer(_ connection: Descriptor, _ text: String) {
        let bytes = Array(text.utf8.prefix(4096))
        send(connection.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }
}
