// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import SluiceSockets
internal import StageKit

extension Manager {
    /// The groups whose live generation has standing rules.
    func groupsWithRules(_ wanted: [HookID]) throws -> [SocketWatch.Group] {
        try wanted.filter { $0.kind == .socketFilter }.compactMap { hook in
            let live = try store.openNumbers(of: hook.description).first { $0.value == .live }
            let directory = directory(hook)
            guard let live, let rules = try watched(of: hook)[live.key]?.rules, !rules.isEmpty,
                try directory.attachment.isAttached()
            else { return nil }
            return SocketWatch.Group(hook: hook, path: directory.path, rules: rules)
        }
    }

    func makeSocketWatch() -> SocketWatch {
        SocketWatch { [weak self] hook, sockets in
            await self?.joinByRule(hook, sockets) ?? [:]
        } miss: { [weak self] missed in
            await self?.note(missed: missed)
        }
    }

    /// Brings sockets that a rule has found into their group: all at once, or else each for itself.
    /// - Returns: Why those could not be brought that could not, by their place.
    private func joinByRule(_ hook: HookID, _ sockets: [Descriptor]) -> [Int: String] {
        func join(_ some: [Descriptor]) -> String? {
            do {
                _ = try self.join(hook, some, replace: false, by: "sluiced", byRule: true)
                return nil
            } catch {
                return (error as? APIErrorBody)?.message ?? "\(error)"
            }
        }
        guard let failure = join(sockets) else { return [:] }
        if sockets.count == 1 { return [0: failure] }
        return sockets.enumerated().reduce(into: [:]) { failures, socket in
            failures[socket.offset] = join([socket.element])
        }
    }

    /// Remembers which sockets a rule could not bring in, and tells of each once.
    private func note(missed: [HookID: [String]]) {
        for (hook, lines) in missed {
            for line in lines where self.missed[hook]?.contains(line) != true {
                record("join", hook.description, outcome: "failed", by: "sluiced", line)
            }
        }
        self.missed = missed
    }
}
