// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel interfaces that Swift's Glibc module or Debian 12's headers lack, a topic a header.
#include "descriptors.h"
#include "events.h"
#include "filesystems.h"
#include "interfaces.h"
#include "lab.h"
#include "membarrier.h"
#include "namespaces.h"
#include "netlink.h"
#include "packets.h"
#include "programs.h"
#include "socketdiag.h"
