// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import StageKit
internal import Subprocess
internal import Synchronization

/// One start of a plugin: all requests in, a line of answer for each out.
struct PluginConversation: Sendable {
    let launcher: PluginLauncher
    let plugin: InstalledPlugin

    /// Why the plugin was killed before it had answered.
    private enum Kill: Sendable { case time, output, silence }

    /// What a start gave.
    private struct Transcript: Sendable {
        var lines: [[UInt8]] = []
        var kill: Kill?
        var standardError: [UInt8] = []
    }

    /// Sends `requests` and returns a line for each.
    func ask(_ requests: [StageRequest]) async throws(PluginError) -> [[UInt8]] {
        _ = PluginLauncher.ignoreBrokenPipes
        let input: [UInt8]
        do {
            input = try requests.flatMap { try JSON(encoding: $0).serialized() + [0x0a] }
        } catch {
            preconditionFailure("a request is always JSON: \(error)")
        }
        let transcript: Transcript
        let status: TerminationStatus
        do {
            let result = try await Subprocess.run(
                launcher.configuration(of: plugin, isRun: false), input: .inputWriter, output: .sequence,
                error: .sequence
            ) { execution in
                await converse(execution, input: input, expecting: requests.count)
            }
            (transcript, status) = (result.closureResult, result.terminationStatus)
        } catch {
            throw failure(.notExecutable(path: plugin.executable, reason: "\(error)"), Transcript())
        }
        guard transcript.lines.count < requests.count else { return transcript.lines }
        // It may have left the process group, and so what was killed; nobody may run on as the plugins' user.
        PluginSweep.run(user: launcher.user)
        throw failure(
            reason(transcript, status, request: requests[transcript.lines.count].method.rawValue), transcript)
    }

    private func converse(
        _ execution: Execution<CustomWriteInput, SequenceOutput, SequenceOutput>, input: [UInt8], expecting count: Int
    ) async -> Transcript {
        let notes = Notes()
        var lines: [[UInt8]] = []
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                guard (try? await Task.sleep(for: launcher.limits.time)) != nil else { return }
                notes.kill(for: .time)
                try? execution.send(signal: .kill, toProcessGroup: true)
            }
            group.addTask {
                _ = try? await execution.standardInputWriter.write(input)
                try? await execution.standardInputWriter.finish()
            }
            async let errors: Void = keep(execution.standardError, in: notes)
            do {
                lines = try await read(execution.standardOutput, count: count)
            } catch {
                notes.kill(for: .output)
                try? execution.send(signal: .kill, toProcessGroup: true)
            }
            // Without all answers its last words matter. They end when it does, at the latest when its time is up.
            if lines.count < count {
                await errors
                notes.kill(for: .silence)
            }
            // Before it is reaped, so that the group cannot be another's. Reaches what it forked, too.
            try? execution.send(signal: .kill, toProcessGroup: true)
            group.cancelAll()
        }
        return notes.transcript(lines)
    }

    private struct TooMuch: Error {}

    /// What the tasks around one process tell each other.
    private final class Notes: Sendable {
        private let state = Mutex<(kill: Kill?, words: [UInt8])>((nil, []))

        /// The first reason is the one that counts.
        func kill(for reason: Kill) { state.withLock { $0.kill = $0.kill ?? reason } }

        func keep(_ chunk: SubprocessOutputSequence.Buffer, limit: Int) {
            state.withLock { state in
                chunk.withUnsafeBytes { state.words.append(contentsOf: $0) }
                if state.words.count > limit { state.words.removeFirst(state.words.count - limit) }
            }
        }

        func transcript(_ lines: [[UInt8]]) -> Transcript {
            state.withLock { Transcript(lines: lines, kill: $0.kill, standardError: $0.words) }
        }
    }

    private func read(_ output: SubprocessOutputSequence, count: Int) async throws -> [[UInt8]] {
        var splitter = LineSplitter(longest: launcher.limits.output)
        var lines: [[UInt8]] = []
        var total = 0
        do {
            for try await chunk in output {
                total += chunk.count
                chunk.withUnsafeBytes { splitter.append($0) }
                while lines.count < count, let line = splitter.next() { lines.append(line) }
                if lines.count == count { break }
                if total > launcher.limits.output { throw TooMuch() }
            }
        } catch let error as TooMuch {
            throw error
        } catch {
            // The pipe broke: what is there is there.
        }
        return lines
    }

    private func keep(_ stream: SubprocessOutputSequence, in notes: Notes) async {
        do {
            for try await chunk in stream { notes.keep(chunk, limit: launcher.limits.standardError) }
        } catch {
            // The pipe broke: what is there is there.
        }
    }

    private func reason(_ transcript: Transcript, _ status: TerminationStatus, request: String) -> PluginError.Reason {
        switch (transcript.kill, status) {
        case (.time, _): return .timedOut(limit: launcher.limits.time, request: request)
        case (.output, _): return .tooMuchOutput(limit: launcher.limits.output, request: request)
        case (_, .signaled(SIGXCPU)):
            return .usedUpTime(seconds: launcher.limits.processorSeconds, request: request)
        case (.silence, .signaled(SIGKILL)): return .silent(request: request)
        case (_, .signaled(let signal)):
            let name = String(cString: strsignal(signal))
            return .crashed(status: "signal \(signal) (\(name))", request: request)
        case (_, .exited(let code)):
            let words = String(decoding: transcript.standardError, as: UTF8.self)
            // Both launchers say why they could not start it, and end with 126 or 127.
            for launcher in ["setpriv: ", "prlimit: "] where code >= 126 || code == 1 {
                guard words.hasPrefix(launcher) else { continue }
                let reason = words.dropFirst(launcher.count).prefix { $0 != "\n" }
                return .notExecutable(path: plugin.executable, reason: String(reason))
            }
            return .crashed(status: "exit status \(code)", request: request)
        }
    }

    private func failure(_ reason: PluginError.Reason, _ transcript: Transcript) -> PluginError {
        let words = String(decoding: transcript.standardError, as: UTF8.self)
        return PluginError(
            plugin: plugin.label, reason,
            standardError: PluginText.cleaned(words, limit: launcher.limits.standardError))
    }
}
