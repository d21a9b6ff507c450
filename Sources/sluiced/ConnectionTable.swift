// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import Synchronization

/// The open connections, for three who need to know: the idle exit, the graceful stop, and the limits.
final class ConnectionTable: Sendable {
    /// More than this at a time, and a new one is closed at once.
    static let limit = 128
    /// For one user who is not root, so that none can take all the room.
    static let limitPerUser = 32

    private struct Connection {
        var channel: any Channel
        var uid: uid_t
        /// Ends the event stream that runs on it, if one does.
        var endStream: (@Sendable () -> Void)?
    }

    private struct State {
        var open: [ObjectIdentifier: Connection] = [:]
        var listener: (any Channel)?
        var isStopping = false
        /// When the last connection closed; nil while one is open.
        var quietSince: ContinuousClock.Instant? = .now
    }

    private let state = Mutex(State())

    func listen(_ listener: any Channel) {
        state.withLock { $0.listener = listener }
    }

    /// Takes a connection in until it closes; false when there are too many.
    func admit(_ channel: any Channel, uid: uid_t) -> Bool {
        let id = ObjectIdentifier(channel)
        let admitted = state.withLock { state in
            guard state.open.count < Self.limit,
                uid == 0 || state.open.values.count(where: { $0.uid == uid }) < Self.limitPerUser
            else { return false }
            state.open[id] = Connection(channel: channel, uid: uid)
            state.quietSince = nil
            return true
        }
        if admitted {
            channel.closeFuture.whenComplete { _ in
                let ended = self.state.withLock { state in
                    if state.open.count == 1 { state.quietSince = .now }
                    return state.open.removeValue(forKey: id)
                }
                ended?.endStream?()
            }
        }
        return admitted
    }

    /// Has `end` called when the connection closes or the daemon stops.
    func streams(on channel: any Channel, end: @escaping @Sendable () -> Void) {
        let isOpen = state.withLock { state in
            guard !state.isStopping, state.open[ObjectIdentifier(channel)] != nil else { return false }
            state.open[ObjectIdentifier(channel)]?.endStream = end
            return true
        }
        if !isOpen { end() }
    }

    /// How long nobody has been connected; nil while somebody is.
    func quiet() -> Duration? {
        state.withLock { $0.quietSince.map { .now - $0 } }
    }

    /// Takes no more connections: systemd keeps what comes for the next start.
    func stopListening() async {
        try? await state.withLock { $0.listener }?.close()
    }

    /// Takes no more connections, ends event streams, closes what waits for a request; what is being answered is
    /// answered first.
    func stop() {
        let (listener, open) = state.withLock { state in
            state.isStopping = true
            return (state.listener, Array(state.open.values))
        }
        listener?.close(promise: nil)
        for connection in open {
            connection.endStream?()
            connection.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }
}
