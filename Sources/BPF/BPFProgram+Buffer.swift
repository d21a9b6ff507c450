// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// What the stack knows of a packet beside its bytes (`struct __sk_buff`), as far as a test run can set it.
public struct PacketBuffer: Sendable, Equatable {
    public var mark: UInt32 = 0
    /// Nanoseconds: when it came, or at egress when it is to leave.
    public var timestamp: UInt64 = 0
    /// How many segments are to be made of it, and how many bytes of payload each has.
    public var segments: UInt32 = 0
    public var segmentSize: UInt32 = 0

    public init() {}
}

extension BPFProgram {
    /// Runs a program of traffic control once on a packet with such a buffer around it (`BPF_PROG_TEST_RUN`), which is then
    /// as the program left it.
    public func testRun(packet: [UInt8], buffer: inout PacketBuffer) throws(BPFError) -> TestRun {
        var output = [UInt8](repeating: 0, count: packet.count + 512)
        var context = __sk_buff()
        context.mark = buffer.mark
        context.tstamp = buffer.timestamp
        context.gso_segs = buffer.segments
        context.gso_size = buffer.segmentSize
        let fd = fd.raw
        let (result, ran) = packet.withUnsafeBytes { input in
            output.withUnsafeMutableBytes { space in
                withUnsafeMutableBytes(of: &context) { context in
                    withOptions(bpf_test_run_opts.self, size: \.sz) { options in
                        options.pointee.data_in = input.baseAddress
                        options.pointee.data_size_in = UInt32(input.count)
                        options.pointee.data_out = space.baseAddress
                        options.pointee.data_size_out = UInt32(space.count)
                        options.pointee.ctx_in = UnsafeRawPointer(context.baseAddress)
                        options.pointee.ctx_size_in = UInt32(context.count)
                        options.pointee.ctx_out = context.baseAddress
                        options.pointee.ctx_size_out = UInt32(context.count)
                        return (bpf_prog_test_run_opts(fd, options), options.pointee)
                    }
                }
            }
        }
        guard result == 0 else { throw BPFError("test-run", "program \"\(name)\"", errno: Errno(rawValue: -result)) }
        buffer.mark = context.mark
        buffer.timestamp = context.tstamp
        return TestRun(
            returnValue: ran.retval, output: Array(output.prefix(Int(ran.data_size_out))), duration: ran.duration)
    }
}
