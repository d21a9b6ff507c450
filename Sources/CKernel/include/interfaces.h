// SPDX-License-Identifier: Apache-2.0
#pragma once

/// An interface's MTU in bytes (SIOCGIFMTU), in the calling thread's network namespace; -1 with errno.
int ck_interface_mtu(const char *name);
