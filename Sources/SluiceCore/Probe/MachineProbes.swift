// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import SluiceAPI

/// The rights of this process (capabilities(7)).
enum Capability {
    /// What no chain can be built without.
    static let needed: [(name: String, number: Int)] = [
        ("CAP_BPF", 39), ("CAP_NET_ADMIN", 12), ("CAP_PERFMON", 38),
    ]
    static let systemAdministration = 21

    /// Whether it is in the effective set.
    static func held(_ number: Int) -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
            let mask = UInt64(line.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16)
        else { return false }
        return mask >> UInt64(number) & 1 == 1
    }
}

extension Probe {
    /// What is not tried but read.
    static func machine(bpffs: String) -> [ProbeItem] {
        func item(
            _ name: String, _ supported: Bool, _ required: Bool, _ reason: String, _ remedy: String
        ) -> ProbeItem {
            ProbeItem(
                group: "machine", name: name, supported: supported, required: required, reason: reason,
                remedy: supported ? nil : remedy)
        }
        let isNew = Kernel.isAtLeast(6, 1)
        var items = [
            item(
                "Linux", isNew, true, "\(Kernel.release())\(isNew ? "" : ": 6.1 is the oldest supported")",
                "boot a newer kernel")
        ]
        items += Capability.needed.map { name, number in
            let held = Capability.held(number)
            return item(
                name, held, true, held ? "held" : "the daemon lacks it: nothing can be loaded or attached",
                "give it \(name), as its unit does")
        }
        let admin = Capability.held(Capability.systemAdministration)
        items.append(
            item(
                "CAP_SYS_ADMIN", admin, false,
                admin ? "held" : "chains in other network namespaces are out of reach",
                "only if you want that: /usr/share/doc/sluice/netns.conf.example"))
        items.append(pins(in: bpffs))
        let jit = Kernel.setting("net/core/bpf_jit_enable")
        items.append(
            item(
                "JIT", jit != "0", true,
                jit == "0" ? "off: stages would run interpreted and slow" : "on",
                "sysctl net.core.bpf_jit_enable=1"))
        let harden = Kernel.setting("net/core/bpf_jit_harden")
        items.append(
            item(
                "direct jumps", harden != "2", false,
                harden == "2"
                    ? "net.core.bpf_jit_harden=2 makes every step between stages cost 10 ns" : "between stages",
                "sysctl net.core.bpf_jit_harden=1"))
        let unprivileged = Kernel.setting("kernel/unprivileged_bpf_disabled")
        items.append(
            item(
                "BPF for root only", unprivileged != "0", false,
                unprivileged == "0" ? "everybody may load socket filters" : "unprivileged_bpf_disabled is set",
                "sysctl kernel.unprivileged_bpf_disabled=1"))
        let types = FileManager.default.fileExists(atPath: "/sys/kernel/btf/vmlinux")
        items.append(
            item(
                "kernel BTF", types, false,
                types ? "/sys/kernel/btf/vmlinux" : "objects that adapt to the kernel (CO-RE) cannot be adopted",
                "a kernel with CONFIG_DEBUG_INFO_BTF"))
        if !Kernel.isAtLeast(5, 11) {
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(8), &limit)  // RLIMIT_MEMLOCK
            items.append(
                item(
                    "locked memory", limit.rlim_cur == rlim_t.max, true,
                    "this kernel charges maps to the limit, which is \(limit.rlim_cur) bytes",
                    "LimitMEMLOCK=infinity, as the unit has"))
        }
        return items
    }

    /// Pins something and unpins it: a bpffs may be there and read-only.
    private static func pins(in bpffs: String) -> ProbeItem {
        Probe(
            group: "machine", name: "bpffs", required: true, purpose: "\(bpffs) takes pins",
            attempt: {
                guard Bpffs.contains(bpffs) else {
                    throw BPFError("pin", bpffs, cause: "\(bpffs) is not in a bpffs (mount -t bpf bpf /sys/fs/bpf)")
                }
                let map = try BPFMap.create("sluice_probe", type: .array, keySize: 4, valueSize: 4, maxEntries: 1)
                let path = "\(bpffs)/probe"
                try Pin.remove(path)
                try map.pin(at: path)
                try Pin.remove(path)
            }
        ).run()
    }
}
