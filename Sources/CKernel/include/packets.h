// SPDX-License-Identifier: Apache-2.0
#pragma once

// packet(7), which Swift's Glibc module leaves out.
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>
