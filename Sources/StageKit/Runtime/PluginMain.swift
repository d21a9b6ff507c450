// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

extension StagePlugin {
    /// The executable's entry: the protocol without arguments, by hand with them.
    public static func main() {
        exit(PluginProgram<Self>().run(Array(CommandLine.arguments.dropFirst()), streams: .standard))
    }
}

/// What a plugin's executable does.
struct PluginProgram<Plugin: StagePlugin> {
    private var name: String { Plugin.description.name }

    private var usage: String {
        """
        usage: \(name) describe
               \(name) plan [--hook HOOK] [--stage NAME] [--time SECONDS] < CONFIGURATION.json
               \(name) migrate | change | inspect < REQUEST.json
               \(name) --help | --version
        """
    }

    /// - Parameter streams: The output's descriptor is the errors' afterwards, see below.
    /// - Returns: The exit status.
    func run(_ arguments: [String], streams: Streams) -> Int32 {
        let errors = LineWriter(streams.error)
        // What the plugin's own code prints must not get between the messages: it goes to standard error.
        let output = fcntl(streams.output, F_DUPFD_CLOEXEC, 3)
        guard output >= 0, dup2(streams.error, streams.output) >= 0 else {
            errors.write("\(name): cannot set up the output: \(String(cString: strerror(errno)))")
            return Status.failed
        }
        defer { close(output) }
        do {
            guard let command = arguments.first else {
                guard isatty(streams.input) == 0 else { throw UsageError(message: "expected a command") }
                var conversation = Conversation<Plugin>(input: streams.input, output: output)
                try conversation.serve()
                return Status.done
            }
            let options = try Options(arguments.dropFirst(), command: command)
            LineWriter(output).write(try answer(command, options, input: streams.input))
            return Status.done
        } catch let error as UsageError {
            errors.write("\(name): \(error.message)\n\(usage)")
            return Status.usage
        } catch {
            errors.write("\(name): \(error)")
            return Status.failed
        }
    }

    private func answer(_ command: String, _ options: Options, input: Int32) throws -> [UInt8] {
        switch command {
        case "describe":
            return try JSON(encoding: Plugin.description).serialized(pretty: true)
        case "plan":
            let configuration = try read(input).decode(Plugin.Configuration.self)
            let context = PlanContext(
                hook: options.hook ?? "xdp:eth0", stage: options.stage ?? name, time: options.time ?? Int64(time(nil)))
            return try JSON(encoding: try Plugin().plan(configuration, in: context)).serialized(pretty: true)
        case "migrate":
            let reply = MigrationReply(try Plugin().migrate(try read(input).decode(MigrationRequest.self)))
            return try JSON(encoding: reply).serialized(pretty: true)
        case "change":
            let change = try Plugin().change(try read(input).decode(ChangeRequest.self))
            return try JSON(encoding: change).serialized(pretty: true)
        case "inspect":
            let table = try Plugin().inspect(try read(input).decode(InspectRequest.self))
            return try JSON(encoding: table).serialized(pretty: true)
        case "--version":
            return Array("\(name) \(Plugin.description.version)".utf8)
        case "--help", "-h", "help":
            let text = """
                \(name) \(Plugin.description.version): \(Plugin.description.summary)

                \(usage)

                Without arguments it speaks the plugin protocol on standard input and output.
                """
            return Array(text.utf8)
        default:
            throw UsageError(message: "unknown command \"\(command)\"")
        }
    }

    private func read(_ input: Int32) throws(StageError) -> JSON {
        var reader = LineReader(input)
        return try JSON(parsing: try reader.rest())
    }
}

/// Exit statuses; `usage` as in `sysexits.h`.
private enum Status {
    static let done: Int32 = 0
    static let failed: Int32 = 1
    static let usage: Int32 = 64
}

private struct UsageError: Error {
    let message: String
}

/// `--hook`, `--stage` and `--time` of `plan`.
private struct Options {
    private(set) var hook: String?
    private(set) var stage: String?
    private(set) var time: Int64?

    init(_ arguments: ArraySlice<String>, command: String) throws {
        var rest = arguments
        while let option = rest.popFirst() {
            guard command == "plan", ["--hook", "--stage", "--time"].contains(option) else {
                throw UsageError(message: "\"\(command)\" takes no \"\(option)\"")
            }
            guard let value = rest.popFirst() else { throw UsageError(message: "\(option) needs a value") }
            switch option {
            case "--hook": hook = value
            case "--stage": stage = value
            default:
                guard let seconds = Int64(value) else { throw UsageError(message: "--time needs a number of seconds") }
                time = seconds
            }
        }
    }
}
