// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import Testing

@testable import CgroupPolicy

/// A configuration as an operator's YAML becomes it.
func configuration(_ json: JSON) throws -> Configuration { try json.decode(Configuration.self) }

func context(_ kind: HookKind) -> PlanContext { PlanContext(hook: "\(kind.rawValue):dns.service", stage: "policy") }

func plan(_ json: JSON, at kind: HookKind) throws -> StagePlan { try configuration(json).plan(in: context(kind)) }

let objects = StageUnderTest.objects(of: "cgroup-policy-1_0")
