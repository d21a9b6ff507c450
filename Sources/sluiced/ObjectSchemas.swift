// SPDX-License-Identifier: Apache-2.0

extension ObjectSchema {
    /// Every object that the API takes or gives. A test holds it against what the types encode.
    static let all: [ObjectSchema] =
        requests + chains + changes + manager + canaries + maps + live + inquiries + programs + sockets

    static func named(_ name: String) -> ObjectSchema? {
        all.first { $0.name == name }
    }

    private static let requests: [ObjectSchema] = [
        .init(
            "PlanRequest", "Asks what `apply` would change.",
            [
                .needed("spec", .string, "The spec, YAML."),
                .needed("source", .string, "Where it came from, for messages: a file name, or `-`."),
            ]),
        .init(
            "ApplyRequest", "Asks for a spec to be made so.",
            [
                .needed("spec", .string, "The spec, YAML."),
                .needed("source", .string, "Where it came from, for messages: a file name, or `-`."),
                .needed("message", .string, "Kept in history; may be empty."),
                .needed("replace", .boolean, "Whether a foreign program on the hook may be replaced."),
                .optional("canary", .object("CanaryRequest"), "Tries what changes on a share of the flows first."),
            ]),
        .init(
            "RollbackRequest", "Asks for an earlier generation to be live again.",
            [
                .optional("to", .integer, "The generation to go back to; without it, the one that was live before."),
                .needed("message", .string, "Kept in history; may be empty."),
            ]),
        .init(
            "UpgradeRequest", "Asks for another version of one stage's plugin.",
            [
                .needed("stage", .string, "The stage's name."),
                .optional("version", .string, "The version to go to; without it, the newest installed."),
                .needed("message", .string, "Kept in history; may be empty."),
                .optional("canary", .object("CanaryRequest"), "Tries it on a share of the flows first."),
            ]),
        .init(
            "DetachRequest", "Asks for a chain to be taken off its hook.",
            [
                .needed("message", .string, "Kept in history; may be empty."),
                .needed("restore", .boolean, "Whether the program that `replace` displaced is attached again."),
            ]),
    ]

    private static let chains: [ObjectSchema] = [
        .init(
            "ChainStatus", "One chain as it stands.",
            [
                .needed("hook", .string, "`xdp:eth0`, or `xdp:eth0@edge` in the network namespace /run/netns/edge."),
                .needed(
                    "state", .oneOf(["live", "waiting", "missing", "detached"]),
                    "`waiting`: its interface is not there. `missing`: wanted, but not attached or not in the kernel. "
                        + "`detached`: by an operator."),
                .optional("live", .integer, "The generation that takes the traffic, read from the kernel."),
                .optional("mode", .string, "How the root is attached: `native` or `generic`."),
                .needed("onFault", .oneOf(["pass", "drop"]), "What a packet gets when a slot is empty."),
                .needed("stages", .array(.object("StageStatus")), "In the order that a packet crosses them."),
                .needed("rootFallbacks", .counter, "Packets that found no live generation."),
                .optional("since", .string, "Since when the live generation is live, ISO 8601, UTC."),
                .needed("notes", .array(.string), "What an operator ought to know."),
                .optional("canary", .object("CanaryStatus"), "The generation that is tried beside the live one."),
                .optional("gap", .object("FilteringGap"), "Absent when the chain is not known to have been off."),
                .optional("sockets", .integer, "How many sockets are in the group; absent at other hooks."),
            ]),
        .init(
            "FilteringGap", "How long a wanted chain filtered nothing in this boot, before its root was attached.",
            [
                .needed("since", .oneOf(["boot", "interface", "cgroup"]), "The boot, or when the place appeared."),
                .needed("milliseconds", .number, "How long."),
                .needed("until", .string, "When the root was attached, ISO 8601, UTC."),
            ]),
        .init(
            "StageStatus", "One stage of a live chain.",
            [
                .needed("name", .string, "Its name in the chain."),
                .optional("plugin", .string, "The plugin that it runs."),
                .optional("version", .string, "The plugin's version."),
                .optional("object", .string, "Instead of a plugin: `FILE#PROGRAM` of the object that it adopted."),
                .optional("counters", .object("StageCounters"), "Absent when the chain's counters are off."),
            ]),
        .init(
            "StageCounters", "What a stage has seen since its generation was built, summed over the CPUs.",
            [
                .needed("packets", .counter, "Packets that reached it."),
                .needed("bytes", .counter, "Their bytes."),
                .needed(
                    "verdicts", .map(.object("Count")),
                    "By verdict: `drop`, `pass`, `tx`, `redirect`, `aborted`, `next`, `invalid`, `fallthrough`."),
            ]),
        .init(
            "Count", "Packets and their bytes.",
            [.needed("packets", .counter, "Packets."), .needed("bytes", .counter, "Bytes.")]),
        .init(
            "GenerationRecord", "One generation of a chain, as history keeps it.",
            [
                .needed("number", .integer, "Rises by one with each build."),
                .needed(
                    "state", .oneOf(["building", "live", "canary", "kept", "retired"]),
                    "`canary`: tried on a share of the flows. `kept`: pinned, so that a rollback reaches it with one write."
                ),
                .needed("created", .string, "When it was built, ISO 8601, UTC."),
                .needed("author", .string, "Who asked for it."),
                .needed("message", .string, "Why."),
                .needed("changes", .array(.string), "What differs from the generation before, a line each."),
                .needed("stages", .array(.object("StageRecord")), "Its stages, in order."),
                .needed(
                    "returnsTo", .array(.string),
                    "Of a kept generation: the state a rollback finds where that is not the live one's, a line each map."
                ),
            ]),
        .init(
            "StageRecord", "What a stage of a generation was built from.",
            [
                .needed("name", .string, "Its name in the chain."),
                .optional("plugin", .string, "The plugin."),
                .optional("version", .string, "The plugin's version."),
                .optional("object", .string, "Instead of a plugin: `FILE#PROGRAM` of the object that it adopted."),
                .needed("artifact", .string, "SHA-256 of plugin and object, hexadecimal."),
            ]),
        .init(
            "ChainStats", "The counters of a live chain, the stages' own tables included.",
            [
                .needed("hook", .string, "The chain's hook."),
                .needed("generation", .integer, "The live generation."),
                .needed("stages", .array(.object("StageStats")), "In order."),
            ]),
        .init(
            "StageStats", "The counters of one stage.",
            [
                .needed("name", .string, "Its name in the chain."),
                .optional("counters", .object("StageCounters"), "Absent when the chain's counters are off."),
                .needed("tables", .array(.object("StatsTable")), "What the stage counts itself."),
            ]),
        .init(
            "StatsTable", "A table of a stage's own counters.",
            [
                .needed("name", .string, "Its name."),
                .needed("columns", .array(.string), "What each value of a row counts."),
                .needed("rows", .array(.object("StatsRow")), "Its rows."),
            ]),
        .init(
            "StatsRow", "A row of such a table.",
            [
                .needed("label", .string, "What it is about: a rule, a server."),
                .needed(
                    "values", .array(.any),
                    "A value a column: a count, or of a column of times ISO 8601, UTC, null for never."),
            ]),
    ]

    private static let changes: [ObjectSchema] = [
        .init(
            "PlanReport", "What a plan would do.",
            [.needed("chains", .array(.object("ChainPlan")), "A chain each.")]),
        .init(
            "ChainPlan", "What a plan would do to one chain.",
            [
                .needed("hook", .string, "The chain's hook."),
                .needed("action", .oneOf(["none", "create", "update"]), "`none`: it is as wanted."),
                .needed("lines", .array(.string), "A readable diff; each line starts with `+`, `-`, `~` or a space."),
                .needed("notes", .array(.string), "What an operator ought to know."),
            ]),
        .init(
            "ChangeReport", "What a change did.",
            [.needed("chains", .array(.object("ChainChange")), "A chain each.")]),
        .init(
            "ChainChange", "What a change did to one chain.",
            [
                .needed("hook", .string, "The chain's hook."),
                .optional("from", .integer, "The live generation before."),
                .optional("to", .integer, "The live generation after."),
                .optional("canary", .integer, "The generation that is now tried beside the live one."),
                .needed("lines", .array(.string), "What was done, a line each."),
                .needed("timings", .array(.object("Timing")), "How long each step took, in order."),
            ]),
        .init(
            "Timing", "How long a step took.",
            [.needed("step", .string, "The step."), .needed("milliseconds", .number, "Its time.")]),
    ]

    private static let manager: [ObjectSchema] = [
        .init(
            "PluginInfo", "One installed version of a plugin.",
            [
                .needed("name", .string, "The plugin's name."),
                .needed("version", .string, "Its version."),
                .needed("summary", .string, "What it does."),
                .needed("hooks", .array(.string), "The hook types it has programs for."),
                .needed("path", .string, "Its folder."),
                .needed("usedBy", .array(.string), "The stages that run it now, as `hook stage`."),
                .optional("problem", .string, "Why it cannot be used."),
            ]),
        .init(
            "Event", "One entry of the audit trail, and of the event stream.",
            [
                .needed("id", .integer, "Rises with each kept event."),
                .needed("time", .string, "ISO 8601, UTC."),
                .needed("action", .string, "`apply`, `upgrade`, `rollback`, `detach`, `change`, `recover`, `gc`, ..."),
                .optional("hook", .string, "The chain's hook."),
                .needed("outcome", .string, "`done`, `failed`, or `progress` (streamed, not kept)."),
                .needed("author", .string, "Who asked for it."),
                .needed("message", .string, "What happened."),
            ]),
        .init(
            "DoctorReport", "What the check-up found.",
            [.needed("findings", .array(.object("Finding")), "Unhealthy if one of them is a `problem`.")]),
        .init(
            "Finding", "One thing that was looked at.",
            [
                .needed("level", .oneOf(["ok", "note", "problem"]), "How bad it is."),
                .needed("subject", .string, "What was looked at."),
                .needed("message", .string, "What was found."),
                .optional("remedy", .string, "What to do about it."),
                .needed("repairable", .boolean, "Whether a repair may mend it."),
                .optional("repaired", .string, "What a repair did about it."),
            ]),
        .init(
            "GCReport", "What the clean-up removed.",
            [.needed("removed", .array(.string), "Pins, generations and artifacts, a line each.")]),
        .init(
            "VersionInfo", "What answers.",
            [
                .needed("version", .string, "The daemon's version."),
                .needed("api", .integer, "The API's version, the `v1` of the paths."),
                .needed("pluginProtocol", .integer, "The plugin protocol's version."),
                .needed("kernel", .string, "`uname -r`."),
            ]),
        .init(
            "Error", "The body of every answer that is not 2xx.",
            [
                .needed("code", .string, "A word for programs: `invalid-spec`, `not-found`, `forbidden`, ..."),
                .needed("message", .string, "What, on which object, why, and what to do."),
                .optional("detail", .string, "The whole verifier log or plugin output."),
            ]),
    ]
}
