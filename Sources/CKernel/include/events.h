// SPDX-License-Identifier: Apache-2.0
#pragma once

// eventfd(2), which Swift's Glibc module leaves out.
#include <sys/eventfd.h>
