// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "sluice",
    products: [
        .executable(name: "sluiced", targets: ["sluiced"]),
        .executable(name: "sluicectl", targets: ["sluicectl"]),
        // What somebody who writes a stage elsewhere needs: the SDK, the test kit and the BPF compiler.
        .library(name: "StageKit", targets: ["StageKit"]),
        .library(name: "StageTesting", targets: ["StageTesting"]),
        // What a service needs that puts its own sockets into a group.
        .library(name: "SluiceSockets", targets: ["SluiceSockets"]),
        .plugin(name: "BPFCompile", targets: ["BPFCompile"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
    ],
    targets: [
        // The C seam: system libraries, and shims for what Debian's headers lack.
        .systemLibrary(name: "CLibBPF", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(name: "CDigest", pkgConfig: "libmd", providers: [.apt(["libmd-dev"])]),
        .target(name: "CKernel", cSettings: [.treatAllWarnings(as: .error)]),

        .target(name: "BPF", dependencies: ["CLibBPF", "CKernel"], swiftSettings: settings),
        .target(name: "StageKit", swiftSettings: settings),
        .target(name: "SluiceSockets", dependencies: ["CKernel"], swiftSettings: settings),
        .target(
            name: "SluiceAPI",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "SluiceCore",
            dependencies: [
                "BPF", "CDigest", "CKernel", "SluiceAPI", "SluiceObjects", "SluiceSockets", "StageKit",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "sluiced",
            dependencies: [
                "CKernel", "CSystemd", "SluiceAPI", "SluiceCore", "SluiceSockets",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "sluicectl",
            dependencies: [
                "SluiceAPI", "SluiceSockets",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),

        // BPF C, compiled in `swift build`; every target that applies the plugin gets bpf/<target>/*.bpf.c.
        .plugin(name: "BPFCompile", capability: .buildTool(), path: "Plugins/BPFCompile"),
        .target(
            name: "SluiceObjects", dependencies: ["BPF"], swiftSettings: settings, plugins: ["BPFCompile"]),
        .target(
            name: "StageTesting", dependencies: ["BPF", "CKernel", "StageKit"], swiftSettings: settings,
            plugins: ["BPFCompile"]),
        .executableTarget(
            name: "noop", dependencies: ["StageKit"], path: "Plugins/Noop", swiftSettings: settings,
            plugins: ["BPFCompile"]),
        // What plugins that sample packets have in common.
        .target(
            name: "PacketSamples", dependencies: ["StageKit"], path: "Plugins/PacketSamples", swiftSettings: settings),
        .target(
            name: "VolumetricDoS", dependencies: ["PacketSamples", "StageKit"], path: "Plugins/VolumetricDoS/Core",
            swiftSettings: settings),
        .executableTarget(
            name: "volumetric-dos-1_0", dependencies: ["StageKit", "VolumetricDoS"],
            path: "Plugins/VolumetricDoS/v1_0", swiftSettings: settings, plugins: ["BPFCompile"]),
        .executableTarget(
            name: "volumetric-dos-1_1", dependencies: ["StageKit", "VolumetricDoS"],
            path: "Plugins/VolumetricDoS/v1_1", swiftSettings: settings, plugins: ["BPFCompile"]),
        .target(
            name: "L4LB",
            dependencies: [
                "PacketSamples", "StageKit",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Plugins/L4LB/Core", swiftSettings: settings),
        .executableTarget(
            name: "l4lb-1_0", dependencies: ["L4LB", "StageKit"], path: "Plugins/L4LB/v1_0", swiftSettings: settings,
            plugins: ["BPFCompile"]),
        .executableTarget(
            name: "l4lb-1_1", dependencies: ["L4LB", "StageKit"], path: "Plugins/L4LB/v1_1", swiftSettings: settings,
            plugins: ["BPFCompile"]),
        .target(
            name: "UDPRateLimit", dependencies: ["StageKit"], path: "Plugins/UDPRateLimit/Core",
            swiftSettings: settings),
        .executableTarget(
            name: "udp-ratelimit-1_0", dependencies: ["StageKit", "UDPRateLimit"],
            path: "Plugins/UDPRateLimit/v1_0", swiftSettings: settings, plugins: ["BPFCompile"]),
        .target(
            name: "CgroupPolicy", dependencies: ["StageKit"], path: "Plugins/CgroupPolicy/Core",
            swiftSettings: settings),
        .executableTarget(
            name: "cgroup-policy-1_0", dependencies: ["CgroupPolicy", "StageKit"],
            path: "Plugins/CgroupPolicy/v1_0", swiftSettings: settings, plugins: ["BPFCompile"]),
        .target(
            name: "TCEgress", dependencies: ["PacketSamples", "StageKit"], path: "Plugins/TCEgress/Core",
            swiftSettings: settings),
        .executableTarget(
            name: "tc-egress-1_0", dependencies: ["StageKit", "TCEgress"], path: "Plugins/TCEgress/v1_0",
            swiftSettings: settings, plugins: ["BPFCompile"]),

        // A stage for tests only: stamps packets, checks the stamp, misbehaves on request.
        .executableTarget(
            name: "fixture-stage", dependencies: ["StageKit"], path: "Tests/Fixtures/FixtureStage",
            swiftSettings: settings, plugins: ["BPFCompile"]),
        // Does what the hooks of a cgroup are asked about, for the tests of all hooks.
        .executableTarget(
            name: "hook-caller",
            dependencies: [
                "BPF", "CKernel", "StageKit", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Fixtures/HookCaller", swiftSettings: settings),
        // Clients, servers and worse, for Tests/Testbed.
        .executableTarget(
            name: "testbed-traffic",
            dependencies: [
                "BPF", "CKernel", "StageKit",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Testbed/Traffic", swiftSettings: settings),
        .executableTarget(
            name: "sluice-bench",
            dependencies: [
                "BPF", "CKernel", "SluiceAPI", "SluiceCore", "StageKit", "StageTesting", "UDPRateLimit",
            ],
            swiftSettings: settings, plugins: ["BPFCompile"]),
        .executableTarget(
            name: "sluice-demo", dependencies: ["SluiceAPI", "StageKit", "StageTesting"], swiftSettings: settings),
        .testTarget(name: "StageKitTests", dependencies: ["StageKit"], swiftSettings: settings),
        .testTarget(
            name: "StageTests", dependencies: ["BPF", "StageKit", "StageTesting", "fixture-stage", "noop"],
            swiftSettings: settings),
        .testTarget(
            name: "BPFTests", dependencies: ["BPF", "CKernel", "SluiceObjects", "StageTesting", "fixture-stage"],
            swiftSettings: settings),
        .testTarget(
            name: "CoreTests",
            dependencies: [
                "BPF", "CKernel", "SluiceAPI", "SluiceCore", "StageKit", "StageTesting", "fixture-stage", "noop",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "VolumetricDoSTests",
            dependencies: [
                "BPF", "PacketSamples", "StageKit", "StageTesting", "VolumetricDoS", "volumetric-dos-1_0",
                "volumetric-dos-1_1",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "L4LBTests",
            dependencies: [
                "BPF", "L4LB", "PacketSamples", "StageKit", "StageTesting", "l4lb-1_0", "l4lb-1_1",
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "UDPRateLimitTests",
            dependencies: ["BPF", "StageKit", "StageTesting", "UDPRateLimit", "udp-ratelimit-1_0"],
            swiftSettings: settings),
        .testTarget(
            name: "CgroupPolicyTests",
            dependencies: ["BPF", "CgroupPolicy", "StageKit", "StageTesting", "cgroup-policy-1_0"],
            swiftSettings: settings),
        .testTarget(
            name: "TCEgressTests", dependencies: ["BPF", "StageKit", "StageTesting", "TCEgress", "tc-egress-1_0"],
            swiftSettings: settings),
        .testTarget(
            name: "APITests",
            dependencies: ["SluiceAPI", "sluicectl", "sluiced"], swiftSettings: settings),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "BPF", "CKernel", "SluiceAPI", "SluiceCore", "SluiceObjects", "SluiceSockets", "StageTesting",
                "fixture-stage", "hook-caller", "noop", "sluicectl", "sluiced",
                "cgroup-policy-1_0", "l4lb-1_0", "l4lb-1_1", "tc-egress-1_0", "testbed-traffic",
                "udp-ratelimit-1_0", "volumetric-dos-1_0", "volumetric-dos-1_1",
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
