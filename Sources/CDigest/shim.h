// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/types.h>
#include <sha2.h>
