// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Synchronization

internal import BPF

/// A flood: copies of one packet put on a veth by the kernel itself (`BPF_F_TEST_XDP_LIVE_FRAMES`, Linux 5.18), a
/// million a second and more.
///
/// The peer must run a native XDP program while it lasts: without one, veth takes no XDP frames, and they are lost. The
/// interface it sends by needs one too, and gets it for as long as the lab lasts.
public final class LiveFrames {
    /// How to send.
    public struct Options: Sendable {
        /// Packets a second on average, in bursts of 20 ms or more; nil for as fast as it goes.
        public var rate: Int?
        /// How many to send; nil until told to stop.
        public var count: UInt64?
        /// Gives the packets (IPv4) as many source addresses in turn, counted up from the packet's own; nil leaves
        /// them.
        public var sources: UInt32?

        public init(rate: Int? = nil, count: UInt64? = nil, sources: UInt32? = nil) {
            self.rate = rate
            self.count = count
            self.sources = sources
        }
    }

    private let thread: TrafficThread
    private let counter = SentCounter()

    /// Starts to send from `interface`, in the lab's own or another of its namespaces.
    ///
    /// - Parameter packet: a frame from the Ethernet header on, without FCS.
    public init(
        lab: Lab, interface: String, netns: String? = nil, packet: [UInt8], options: Options = Options()
    ) throws {
        try lab.makeLive(interface, netns: netns)
        let counter = counter
        thread = try TrafficThread(lab: lab, netns: netns, sends: true) { control in
            guard let index = XDP.interfaceIndex(interface) else { throw LabError("find interface '\(interface)'") }
            let sender = try BPFObject(bytes: LiveFrames.object, name: "live_frames")
            if let sources = options.sources {
                try sender.setConstant("sources", to: sources)
                try sender.setConstant("first_source", to: LiveFrames.source(of: packet))
            }
            try sender.load(program: "live_send", as: .xdp)
            let program = try sender.program("live_send")
            try counter.open("sent", of: sender)
            control.start()
            let pace = Pace(rate: options.rate)
            var offered: UInt64 = 0
            while !control.isStopping, offered < options.count ?? .max {
                // Each run costs the kernel some 20 ms to set up and take down, so a paced flood comes in bursts.
                let most = min(200_000, (options.count ?? .max) - offered)
                let now = pace.allowance(sent: offered, most: most)
                guard now > 0 else { continue }
                try program.sendLiveFrames(packet: packet, count: Int(now), interface: index)
                offered += now
            }
        }
    }

    /// Packets sent so far, exactly: the program that sends them counts.
    public var sent: UInt64 { counter.value }

    /// Ends it, and returns how many were sent.
    @discardableResult
    public func stop() throws -> UInt64 {
        try thread.finish(early: true)
        return sent
    }

    /// Waits until `count` packets are sent, and returns how many were.
    @discardableResult
    public func wait() throws -> UInt64 {
        try thread.finish(early: false)
        return sent
    }

    fileprivate static let object = [UInt8](Data(base64Encoded: liveFramesObject)!)

    /// The IPv4 source address of a frame, in host byte order.
    private static func source(of packet: [UInt8]) -> UInt32 {
        packet.dropFirst(26).prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// The sending program's own count, which outlives the thread that made it.
private final class SentCounter: Sendable {
    private let map = Mutex<BPFMap?>(nil)

    func open(_ name: String, of object: BPFObject) throws {
        try map.withLock { $0 = try object.loadedMap(name) }
    }

    var value: UInt64 {
        map.withLock { map in
            switch map {
            case .some(let map): (try? map.counters(at: 0))?.first ?? 0
            case .none: 0
            }
        }
    }
}

extension Lab {
    /// Attaches a native program that drops every frame and does nothing else, until the lab ends: what a flood costs
    /// at least.
    public func dropAll(on interface: String) throws {
        try attach("live_drop", to: interface, netns: nil)
    }

    /// Gives an interface the native program without which it does not send XDP frames, once.
    fileprivate func makeLive(_ interface: String, netns: String?) throws {
        try attach("live_receive", to: interface, netns: netns)
    }

    private func attach(_ program: String, to interface: String, netns: String?) throws {
        let key = "\(interface)@\(netns ?? "")"
        guard !holds(key) else { return }
        hold(
            try inNamespace(netns) {
                guard let index = XDP.interfaceIndex(interface) else { throw LabError("find interface '\(interface)'") }
                let object = try BPFObject(bytes: LiveFrames.object, name: "live_frames")
                try object.load(program: program, as: .xdp.taking(frags: true))
                return LinkHolder(try XDP.attach(object.program(program), to: index, mode: .native))
            }, as: key)
    }
}

/// Keeps a link in a place that takes only copyable values.
private final class LinkHolder: Sendable {
    private let link: BPFLink
    init(_ link: consuming BPFLink) { self.link = link }
}
