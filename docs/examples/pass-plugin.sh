#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A whole plugin: its stage hands every packet on. Install it, with the object of the plugin "noop", as
#   /usr/lib/sluice/plugins/pass/1.0/pass
#   /usr/lib/sluice/plugins/pass/1.0/noop.bpf.o

reply() { printf '{"sluice":1,"id":%s,%s}\n' "$id" "$1"; }

# The manager writes keys in order and no space between them, so that the first "id" and "method" are the request's.
while IFS= read -r line; do
    id=${line#*'"id":'}
    id=${id%%[!0-9]*}
    method=${line#*'"method":"'}
    method=${method%%'"'*}
    case $line in
    *'"sluice":1}') ;;
    *)
        reply '"error":{"message":"this plugin speaks version 1 of the protocol"}'
        continue
        ;;
    esac
    case $method in
    describe)
        reply '"result":{"name":"pass","version":"1.0","summary":"hands every packet on","hooks":["xdp"]}'
        ;;
    plan)
        case $line in
        *'"configuration":{},'*)
            reply '"result":{"object":"noop.bpf.o","program":"noop","verdicts":["next"],"summary":["all go on"]}'
            ;;
        *) reply '"error":{"message":"this plugin takes no configuration"}' ;;
        esac
        ;;
    *) reply '"error":{"message":"unknown method"}' ;;
    esac
done
