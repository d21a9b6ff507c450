// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SluiceAPI
import StageTesting
import Testing

@testable import SluiceCore

/// A machine in small with a service in a cgroup of its own, as systemd gives it to a unit, and servers that it calls: in
/// the client's namespace and beside it.
final class PolicySite {
    let site: Site
    /// The unit's name, by which chains call it.
    let unit: String
    /// The folders of its slice's cgroup and its own.
    let slice: String
    let cgroup: String
    private var processes: [LabProcess] = []

    var lab: Lab { site.lab }

    /// Runs `body` in a lab, and leaves no cgroup behind, however it ends.
    static func run(_ body: @escaping @Sendable (PolicySite) throws -> Void) async throws {
        try await Lab.run { lab in
            let policy = try PolicySite(lab)
            defer { policy.close() }
            try policy.site.start()
            try body(policy)
        }
    }

    private init(_ lab: Lab) throws {
        site = try Site(lab, plugins: ["cgroup-policy-1_0", "noop"])
        unit = "sluice-web-\(getpid()).service"
        let mount = try #require(Cgroups.mount(), "cgroup2 is mounted")
        slice = "\(mount)/sluice-policy-\(getpid()).slice"
        cgroup = "\(slice)/\(unit)"
        try makeCgroup()
    }

    private func close() {
        for process in processes { process.kill() }
        removeCgroup()
        rmdir(slice)
    }

    func makeCgroup() throws {
        for folder in [slice, cgroup] {
            guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
                throw LabError("mkdir \(folder): errno \(errno)")
            }
        }
    }

    /// A process that was killed is in it for a moment still.
    func removeCgroup() {
        for _ in 0..<200 where rmdir(cgroup) != 0 && errno == EBUSY { usleep(10_000) }
    }

    // MARK: - Its chains

    /// A chain of the policy at each of the unit's hooks.
    func spec(_ kinds: [String], _ config: String, place: String? = nil) -> String {
        """
        chains:
          - hooks: [\(kinds.joined(separator: ", "))]
            place: \(place ?? unit)
            stages:
              - name: policy
                plugin: cgroup-policy
                config:
        \(config.split(separator: "\n").map { "          \($0)" }.joined(separator: "\n"))

        """
    }

    func apply(_ kinds: [String], _ config: String) throws { try site.apply(spec(kinds, config)) }

    /// What is pinned at the unit's hooks of these kinds, or what they have left behind.
    func pins(_ kinds: [String]) throws -> [String] {
        try site.pins().filter { pin in kinds.contains { pin.contains("/\($0):") } }
    }

    func hook(_ kind: String) -> String { "\(kind):\(unit)" }

    /// How often a rule of the hook decided, or another number of its counters.
    func count(_ kind: String, _ row: String, _ column: String = "calls", table: String = "rules") throws -> UInt64 {
        let stats: ChainStats = try site.decode(site.must("stats", hook(kind), "--output", "json"))
        let found = try #require(stats.stages[0].tables.first { $0.name == table })
        let index = try #require(found.columns.firstIndex(of: column))
        guard case .count(let count) = try #require(found.rows.first { $0.label == row }).values[index] else {
            throw LabError("no count")
        }
        return count
    }

    /// Waits for what the stages have told that has all of these words in it.
    @discardableResult
    func report(on kind: String? = nil, _ words: String...) throws -> Event {
        var found: Event?
        try lab.until("an event with \(words)") {
            found = try site.events().last { event in
                event.action == "report" && (kind == nil || event.hook == hook(kind!))
                    && words.allSatisfy { event.message.contains($0) }
            }
            return found != nil
        }
        return found!
    }

    // MARK: - Its processes

    /// Starts a program in the service's cgroup.
    func spawn(_ arguments: [String]) throws -> LabProcess {
        let process = try lab.spawn(["sh", "-c", #"echo 0 > "$0/cgroup.procs" && exec "$@""#, cgroup] + arguments)
        processes.append(process)
        return process
    }

    func execute(_ arguments: [String]) throws -> (status: StageTesting.ExitStatus, output: String) {
        let process = try spawn(arguments)
        let status = try process.wait()
        return (status, process.output + process.errors)
    }

    /// What a call of the service came to: 0, or the number of its error; and what is known of the socket then.
    struct Outcome: Equatable {
        var error: Int32
        var peer = ""
        /// How long it took.
        var milliseconds = 0.0

        static func == (one: Outcome, other: Int32) -> Bool { one.error == other }
    }

    /// Does one thing with a socket, as said in `Calls.script`.
    func call(_ arguments: String...) throws -> Outcome {
        let (status, output) = try execute(["python3", "-I", "-c", Calls.script] + arguments)
        let words = output.split(whereSeparator: \.isWhitespace).map(String.init)
        guard status == .exited(0), words.count == 3, let error = Int32(words[0]), let time = Double(words[1]) else {
            throw LabError("\(arguments): \(status)\n\(output)")
        }
        return Outcome(error: error, peer: words[2], milliseconds: time)
    }

    /// An HTTP server that answers everybody with a word, outside of the cgroup.
    func serve(_ word: String, port: Int, netns: String? = "client") throws {
        let process = try lab.spawn(["python3", "-I", "-c", Calls.server, word, "\(port)"], netns: netns)
        processes.append(process)
        try lab.until("the server is ready: \(process.errors)") { process.output.contains("ready") }
    }

    /// What curl gets of a URL, in the service's cgroup; nil if nothing, with curl's exit status.
    func curl(_ url: String) throws -> (answer: String, status: StageTesting.ExitStatus) {
        let (status, output) = try execute(["curl", "--silent", "--globoff", "--noproxy", "*", "--max-time", "10", url])
        return (output, status)
    }
}

/// What the processes of tests do; Python is on every Debian that runs tests.
enum Calls {
    /// `connect|send|bind|socket|mptcp PROTOCOL ADDRESS PORT`: prints the error's number, the milliseconds it took, and
    /// whom the socket is connected to.
    static let script = """
        import socket, sys, time
        verb, protocol, address, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        kind, number = {'tcp': (socket.SOCK_STREAM, 0), 'udp': (socket.SOCK_DGRAM, 0), 'raw': (socket.SOCK_RAW, 1),
                        'mptcp': (socket.SOCK_STREAM, 262), 'ping': (socket.SOCK_DGRAM, 1)}[protocol]
        error, peer, start = 0, '-', time.monotonic()
        try:
            s = socket.socket(family, kind, number)
            s.settimeout(5)
            if verb == 'connect': s.connect((address, port))
            if verb == 'send': s.sendto(b'x' * 100, (address, port))
            if verb == 'bind': s.bind((address, port))
            if verb == 'mark': peer = str(s.getsockopt(socket.SOL_SOCKET, socket.SO_MARK))
            if verb == 'connect': peer = '%s,%d' % s.getpeername()[:2]
        except OSError as failure:
            error = failure.errno or -1
        print(error, (time.monotonic() - start) * 1000, peer)
        """

    static let server = """
        import http.server, socket, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(sys.argv[1].encode())
            def log_message(self, *args): pass
        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6
        server = Server(('::', int(sys.argv[2])), Handler)
        print('ready', flush=True)
        server.serve_forever()
        """
}
