// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

internal import CKernel

/// How a process ended.
public enum ExitStatus: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    case signaled(Int32)

    public var description: String {
        switch self {
        case .exited(let code): "exit status \(code)"
        case .signaled(let signal): "killed by signal \(signal)"
        }
    }
}

/// A process in a lab: it has the lab's namespaces, its output goes to files, and it ends with the lab.
public final class LabProcess {
    public let arguments: [String]
    public let pid: Int32
    /// The files that its output goes to, in the lab's folder.
    public let outputPath: String
    public let errorPath: String
    /// How it ended; nil while it runs, as far as this object has looked.
    public private(set) var status: ExitStatus?

    init(_ arguments: [String], input: String?, environment: [String: String], netns: String?, files: String) throws {
        self.arguments = arguments
        (outputPath, errorPath) = (files + ".out", files + ".err")
        let input = try input.map { text in
            try text.write(toFile: files + ".in", atomically: false, encoding: .utf8)
            return files + ".in"
        }
        let descriptors = try [
            LabProcess.open(input ?? "/dev/null", O_RDONLY),
            LabProcess.open(outputPath, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND),
            LabProcess.open(errorPath, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND),
        ]
        defer { for descriptor in descriptors { close(descriptor) } }
        let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let argv = LabProcess.vector(arguments)
        let envp = LabProcess.vector(merged.map { "\($0)=\($1)" })
        defer { for pointer in argv + envp { free(pointer) } }
        let path = netns.map { strdup("/run/netns/\($0)") } ?? nil
        defer { free(path) }
        pid = try argv.withUnsafeBufferPointer { argv in
            try envp.withUnsafeBufferPointer { envp in
                var command = ck_lab_command(
                    argv: argv.baseAddress, envp: envp.baseAddress, in: descriptors[0], out: descriptors[1],
                    err: descriptors[2], netns: path)
                return try LabError.check(ck_lab_spawn(&command), "run '\(arguments[0])'")
            }
        }
    }

    /// What it has written so far.
    public var output: String { (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? "" }
    public var errors: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }

    /// Whether it still runs.
    public var isRunning: Bool { (try? reap(timeout: 0)) == .some(nil) }

    /// Waits for its end.
    ///
    /// - Throws: a ``LabError`` with what it wrote to its standard error when it still runs after `timeout`, times
    /// ``Lab/patience``.
    @discardableResult
    public func wait(timeout: Duration = .seconds(30)) throws -> ExitStatus {
        let timeout = timeout * Lab.patience
        if let status = try reap(timeout: Int32(timeout / .milliseconds(1))) { return status }
        throw LabError("'\(arguments.joined(separator: " "))' still runs after \(timeout)\n\(errors)")
    }

    /// Asks it to end (SIGTERM). Its children are left to it.
    public func terminate() {
        guard status == nil else { return }
        Glibc.kill(pid, SIGTERM)
    }

    /// Sends it one signal.
    public func send(signal: Int32) {
        guard status == nil else { return }
        Glibc.kill(pid, signal)
    }

    /// Ends it at once (SIGKILL), with what it started in its process group, and waits until it is gone.
    @discardableResult
    public func kill() -> ExitStatus? {
        Glibc.kill(-pid, SIGKILL)
        return try? reap(timeout: 10_000)
    }

    private func reap(timeout milliseconds: Int32) throws -> ExitStatus? {
        if let status { return status }
        let descriptor = try LabError.check(ck_lab_pidfd(pid), "open process \(pid)")
        defer { close(descriptor) }
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, milliseconds) > 0 else { return nil }
        var raw: Int32 = 0
        guard waitpid(pid, &raw, 0) == pid else { throw LabError("wait for process \(pid)", errno: errno) }
        let signal = raw & 0x7f
        status = signal == 0 ? .exited(raw >> 8 & 0xff) : .signaled(signal)
        return status
    }

    private static func open(_ path: String, _ flags: Int32) throws -> Int32 {
        let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw LabError("open '\(path)'", errno: errno) }
        return descriptor
    }

    private static func vector(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
        strings.map { strdup($0) } + [nil]
    }
}

extension Lab {
    /// Starts a process in the lab: its namespaces, or the lab's namespace `netns` with the same mounts. `arguments[0]`
    /// is looked up in `PATH`. It is killed when the lab ends, or by the kernel when the test run itself is.
    ///
    /// - Parameters:
    ///   - input: what it reads from its standard input; nothing by default.
    ///   - environment: added to the test run's own.
    public func spawn(
        _ arguments: [String], netns: String? = nil, input: String? = nil, environment: [String: String] = [:]
    ) throws -> LabProcess {
        let name = arguments[0].split(separator: "/").last.map(String.init) ?? "process"
        let process = try LabProcess(
            arguments, input: input, environment: environment, netns: netns,
            files: "\(directory)/\(nextNumber())-\(name)")
        adopt(process)
        return process
    }

    /// Runs a process to its end and returns its standard output.
    ///
    /// - Throws: a ``LabError`` with the command and its standard error when it fails or outlives `timeout`.
    @discardableResult
    public func check(
        _ arguments: [String], netns: String? = nil, input: String? = nil, environment: [String: String] = [:],
        timeout: Duration = .seconds(30)
    ) throws -> String {
        let process = try spawn(arguments, netns: netns, input: input, environment: environment)
        let status = try process.wait(timeout: timeout)
        guard status == .exited(0) else {
            throw LabError("'\(arguments.joined(separator: " "))': \(status)\n\(process.errors)\(process.output)")
        }
        return process.output
    }

    /// Tries `condition` every few milliseconds until it holds.
    ///
    /// - Throws: a ``LabError`` that names `what` when it does not hold within `timeout`, times ``patience``; what
    /// `condition` throws.
    public func until(_ what: String, timeout: Duration = .seconds(10), _ condition: () throws -> Bool) throws {
        let clock = ContinuousClock()
        let timeout = timeout * Lab.patience
        let end = clock.now + timeout
        while try !condition() {
            guard clock.now < end else { throw LabError("waited \(timeout) in vain: \(what)") }
            usleep(5_000)
        }
    }
}
