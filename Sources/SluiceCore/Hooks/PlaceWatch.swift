// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CKernel
internal import Foundation
internal import Synchronization

/// Says when an interface, a network namespace or a cgroup has come, gone or changed, and once a minute in any case. On a
/// thread of its own, which mostly sleeps in poll(2).
///
/// It never says what has happened: whoever is told looks at the kernel. So nothing is lost when events are, and a burst
/// of them is one.
final class PlaceWatch: Sendable {
    private struct State {
        /// By path; nil is the namespace the manager is in.
        var wanted: Set<String?> = []
        /// The folders in which cgroups of chains come and go.
        var cgroups: Set<String> = []
        var isStopped = false
    }

    private let state = Mutex(State())
    private let wake: OwnedFD
    /// A namespace gets and loses its name by a mount; poll(2) tells of each (POLLPRI).
    private let mounts: OwnedFD
    /// Tells of folders that are made and removed (inotify).
    private let folders: OwnedFD

    /// - Parameter notify: called on the watch's thread, with the moment at which something was heard.
    init(notify: @escaping @Sendable (ContinuousClock.Instant) -> Void) throws(BPFError) {
        let raw = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard raw >= 0 else { throw BPFError("make", "an event descriptor", errno: .current) }
        wake = OwnedFD(taking: raw)
        mounts = try OwnedFD.open("/proc/self/mountinfo", flags: O_RDONLY)
        let inotify = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard inotify >= 0 else { throw BPFError("make", "an inotify descriptor", errno: .current) }
        folders = OwnedFD(taking: inotify)
        let thread = Thread { [self] in run(notify) }
        thread.name = "sluice-watch"
        thread.start()
    }

    /// Sets which network namespaces are watched, and in which folders cgroups come and go.
    func watch(_ namespaces: Set<String?>, cgroups: Set<String>) {
        let isNew = state.withLock { state in
            defer { (state.wanted, state.cgroups) = (namespaces, cgroups) }
            return state.wanted != namespaces || state.cgroups != cgroups
        }
        if isNew { eventfd_write(wake.raw, 1) }
    }

    /// Ends the thread, soon.
    func stop() {
        state.withLock { $0.isStopped = true }
        eventfd_write(wake.raw, 1)
    }

    /// A namespace that is watched, and which one it was: its name may be given to another.
    private final class Watched {
        let events: InterfaceEvents
        let identity: [UInt64]

        init(_ path: String?, identity: [UInt64]) throws(BPFError) {
            self.identity = identity
            events = try inNetworkNamespace(path) { () throws(BPFError) in try InterfaceEvents() }
        }
    }

    private func run(_ notify: (ContinuousClock.Instant) -> Void) {
        var watched: [String?: Watched] = [:]
        var cgroups: Set<String> = []
        while true {
            let wanted = state.withLock { $0.isStopped ? nil : $0.wanted }
            guard let wanted else { return }
            let followsMounts = wanted.contains { $0 != nil }
            var polled = [
                pollfd(fd: wake.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: followsMounts ? mounts.raw : -1, events: Int16(POLLPRI), revents: 0),
                pollfd(fd: folders.raw, events: Int16(POLLIN), revents: 0),
            ]
            polled += watched.values.map { pollfd(fd: $0.events.fd.raw, events: Int16(POLLIN), revents: 0) }
            let ready = poll(&polled, nfds_t(polled.count), 60_000)
            let heard = ContinuousClock.now
            if ready < 0 { continue }
            // An interface is made in several steps, and others often with it: a moment later is soon enough.
            if ready > 0 { usleep(20_000) }
            var count: UInt64 = 0
            if polled[0].revents != 0 { eventfd_read(wake.raw, &count) }
            for namespace in watched.values { namespace.events.drain() }
            if polled[2].revents != 0 { drainFolders() }
            // What happened before a socket was there has not been told.
            let changes = [
                refresh(&watched, state.withLock { $0.wanted }), refresh(&cgroups, state.withLock { $0.cgroups }),
            ]
            let hasHeard = polled.dropFirst(2).contains { $0.revents != 0 }
            if ready == 0 || hasHeard || changes.contains(true) { notify(heard) }
        }
    }

    /// Opens and closes sockets until they are those of the namespaces that are wanted. A socket keeps its namespace
    /// alive, with all interfaces in it: it goes as soon as the name does.
    private func refresh(_ watched: inout [String?: Watched], _ wanted: Set<String?>) -> Bool {
        for path in watched.keys where !wanted.contains(path) { watched[path] = nil }
        var isChanged = false
        for path in wanted {
            let identity = path.map(Self.identity) ?? []
            if let known = watched[path], known.identity == identity { continue }
            if watched.removeValue(forKey: path) != nil { isChanged = true }
            // What is no namespace (yet), or may not be entered, is tried again with the next event.
            guard let identity, let namespace = try? Watched(path, identity: identity) else { continue }
            watched[path] = namespace
            isChanged = true
        }
        return isChanged
    }

    /// The kernel gives up the watch of a folder with the folder. One that has been made again is watched anew by the next
    /// check-up, which says what is wanted.
    private func refresh(_ watched: inout Set<String>, _ wanted: Set<String>) -> Bool {
        // Again for all: to watch a folder that is watched already changes nothing.
        let events = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR
        let now = wanted.filter { inotify_add_watch(folders.raw, $0, UInt32(events)) >= 0 }
        defer { watched = now }
        // What has happened before a folder was watched has not been told.
        return !now.subtracting(watched).isEmpty
    }

    private func drainFolders() {
        var space = [UInt8](repeating: 0, count: 1 << 14)
        while read(folders.raw, &space, space.count) > 0 {}
    }

    private static func identity(_ path: String) -> [UInt64]? {
        var info = stat()
        return stat(path, &info) == 0 ? [UInt64(info.st_dev), UInt64(info.st_ino)] : nil
    }
}
