// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Subprocess
internal import SystemPackage

/// How a plugin's process is started: by util-linux's `setpriv`, `prlimit` and, elsewhere, `nsenter`, as swift-subprocess runs nothing of its
/// own between fork and exec. Together they cost about 2.5 ms.
///
/// As root this needs the capabilities `CAP_SETUID`, `CAP_SETGID`, `CAP_SETPCAP`, and `CAP_KILL` to end it.
struct PluginLauncher: Sendable {
    let limits: PluginLimits
    /// Nil to run it as this process's own user.
    let user: PluginUser?

    /// - Parameters:
    ///   - isRun: Whether it stays; then its processor time is not limited.
    ///   - netns: The network namespace it is in; nil for this process's own. Takes `CAP_SYS_ADMIN`.
    func configuration(of plugin: InstalledPlugin, isRun: Bool, netns: String? = nil) -> Subprocess.Configuration {
        var arguments = netns.map { ["/usr/bin/nsenter", "--net=\($0)", "--"] } ?? []
        arguments += [
            "/usr/bin/setpriv", "--no-new-privs", "--inh-caps=-all", "--pdeathsig=KILL",
        ]
        if let user {
            arguments += [
                "--reuid=\(user.uid)", "--regid=\(user.gid)", "--clear-groups", "--bounding-set=-all",
            ]
        }
        arguments += [
            "--", "/usr/bin/prlimit", "--core=0", "--as=\(limits.addressSpace)", "--nofile=\(limits.openFiles)",
            "--nproc=\(limits.processes)",
        ]
        // At the soft limit the kernel sends SIGXCPU, which tells it from other deaths; at the hard one SIGKILL.
        if !isRun { arguments.append("--cpu=\(limits.processorSeconds):\(limits.processorSeconds + 1)") }
        arguments += ["--", plugin.executable]

        var options = PlatformOptions()
        // A session of its own is a process group of its own, which can be killed as a whole, and has no terminal.
        options.createSession = true
        options.teardownSequence = [
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(1))
        ]
        return Subprocess.Configuration(
            executable: .path(FilePath(arguments[0])), arguments: Arguments(Array(arguments.dropFirst())),
            environment: .custom(["PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"]),
            workingDirectory: FilePath(plugin.path), platformOptions: options)
    }

    /// Writing to a plugin that has died must be an error, not the manager's end.
    static let ignoreBrokenPipes: Void = {
        var action = sigaction()
        sigaction(SIGPIPE, nil, &action)
        if action.__sigaction_handler.sa_handler == nil { signal(SIGPIPE, SIG_IGN) }
    }()
}

/// Cuts a stream of bytes into lines.
struct LineSplitter {
    private var buffer: [UInt8] = []
    private var searched = 0
    let longest: Int

    init(longest: Int) {
        self.longest = longest
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        buffer.append(contentsOf: bytes)
    }

    /// The next whole line, without its line feed.
    mutating func next() -> [UInt8]? {
        guard let end = buffer[searched...].firstIndex(of: 0x0a) else {
            searched = buffer.count
            return nil
        }
        let line = Array(buffer[..<end])
        buffer.removeFirst(end + 1)
        searched = 0
        return line
    }

    /// Whether the line under way is too long already.
    var isTooLong: Bool { buffer.count > longest }
}
