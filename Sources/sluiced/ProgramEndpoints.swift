// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension Endpoint {
    /// What concerns programs that others attached.
    static let programs: [Endpoint] = [
        .read(
            "/v1/programs",
            "The programs on interfaces and cgroups, whoever attached them: XDP, tc and tcx, in the daemon's network namespace "
                + "and in every one that a chain lives in, and the hooks of cgroups that a chain may be at",
            answer: .object("ProgramReport")
        ) {
            .json(try await $0.manager.programs())
        },
        .write(
            "/v1/chains/{hook}/adopt", "Make the program that others attached the first stage of the chain",
            body: "AdoptRequest", answer: .object("ChangeReport")
        ) {
            .json(try await $0.manager.adopt($0.hook, $0.body.decode(), by: $0.caller))
        },
    ]
}

extension ObjectSchema {
    static let programs: [ObjectSchema] = [
        .init(
            "ProgramReport", "The programs on interfaces and cgroups, whoever attached them.",
            [
                .needed(
                    "programs", .array(.object("AttachedProgram")),
                    "By network namespace, interface and hook; then by cgroup."),
                .needed("notes", .array(.string), "What could not be seen, and why."),
            ]),
        .init(
            "AttachedProgram", "A program on an interface or a cgroup.",
            [
                .optional("interface", .string, "The interface's name; absent where it is not on one."),
                .optional("cgroup", .string, "The cgroup's path below the mount; absent where it is not on one."),
                .optional("netns", .string, "The network namespace's file; absent for the daemon's own."),
                .needed("hook", .oneOf(AttachedProgram.Hook.allCases.map(\.rawValue)), "Where on it."),
                .needed(
                    "position", .oneOf(AttachedProgram.Position.allCases.map(\.rawValue)),
                    "The mode of XDP, the direction of tc and tcx, which hook of a cgroup."),
                .needed("id", .integer, "The kernel's id of the program."),
                .optional("name", .string, "Its name; absent when it may not be looked up."),
                .optional("link", .integer, "The kernel's id of the link that attaches it, where there is one."),
                .needed("pins", .array(.string), "Where it or its link is pinned."),
                .optional("chain", .string, "The chain whose root it is; absent for a program that is not Sluice's."),
            ]),
        .init(
            "AdoptRequest", "Asks for the program on a hook to be made the first stage of the hook's chain.",
            [
                .needed("stage", .string, "The stage's name in the chain."),
                .needed("object", .string, "The object that it was loaded from: `PATH#PROGRAM`, or `PATH`."),
                .optional("program", .string, "Its id or its name, where others attached several."),
                .needed(
                    "proceedOn", .array(.string), "The verdicts after which the next stage has its turn: `pass`."),
                .needed("message", .string, "Kept in history; may be empty."),
            ]),
    ]
}
