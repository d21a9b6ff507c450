# SPDX-License-Identifier: Apache-2.0
# What became of every test, from the event stream of a run (a JSON object a line, the last one perhaps cut off).
# A skip counts as a failure unless its reason asks for a newer kernel than $release: "... needs Linux 6.6".
# Usage: jq -nR --arg version 6.1.192-2 --arg release 6.1.0-56 --arg kernel "$complaints" -f summary.jq EVENTS
def numbers: [scan("[0-9]+") | tonumber][:2];
def is_excused: [scan("needs Linux ([0-9]+\\.[0-9]+)")[0]] | any(numbers > ($release | numbers));

[inputs | fromjson?] as $records
| [$records[] | select(.kind == "event") | .payload] as $events
| (reduce $events[] as $event ({};
    if $event.testID == null then .
    elif $event.kind == "issueRecorded" and ($event.issue.isKnown | not) then
        .[$event.testID].issues += [$event.messages[].text]
    elif $event.kind == "testSkipped" or $event.kind == "testCancelled" then
        .[$event.testID].skip = ($event.messages[0].text // "for no reason")
    elif $event.kind == "testEnded" then .[$event.testID].ended = true
    else . end)) as $fates
| [$records[] | select(.kind == "test" and .payload.kind == "function") | .payload.id | {
    id: .,
    target: split(".")[0],
    name: (split("/")[:-1] | join("/")),
    fate: ($fates[.] // {})
} | .outcome = (
    if .fate.issues then "failed"
    elif .fate.skip then (if .fate.skip | is_excused then "skipped" else "failed" end)
    elif .fate.ended then "passed"
    else "failed" end)
| .why = (
    if .outcome == "passed" then null
    else (.fate.issues // [.fate.skip // "did not end"]) end)] as $tests
| ([$events[] | .instant.absolute] | if length > 0 then max - min else 0 end) as $seconds
| {
    $version,
    seconds: ($seconds | round),
    ended: any($events[]; .kind == "runEnded"),
    kernel: ($kernel | split("\n") | map(select(. != ""))),
    targets: ($tests | group_by(.target) | map({key: .[0].target, value: (
        map(.outcome) | {passed: map(select(. == "passed")) | length, failed: map(select(. == "failed")) | length,
            skipped: map(select(. == "skipped")) | length})}) | from_entries),
    notes: [$tests[] | select(.why) | {outcome, name, why}]
}
| .good = (.ended and .kernel == [] and $tests != [] and all($tests[]; .outcome != "failed"))
