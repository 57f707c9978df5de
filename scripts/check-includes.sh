#!/bin/sh
# SPDX-License-Identifier: MIT
# check-includes.sh: a module includes only modules to its left:
#
#   base < conf < kern, data, ckpt < quant < nn < engine < eval, port < train
#
# and of other modules only the outward headers (no *_internal.h). Programs
# include omq.h, omq_tools.h and tool.h only. File names of C sources are
# unique in the tree, but for main.c and fuzz.c of the tests.
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

{
    find lib tools -name '*.[ch]' -o -name '*.def' | sort |
        xargs grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null
    find lib tools tests -name '*.[ch]' | sort | sed 's/$/:0:file/'
} | awk -F: '
    BEGIN {
        n = split("base conf kern,data,ckpt quant nn engine eval,port train", ranks, " ")
        for (i = 1; i <= n; i++) {
            m = split(ranks[i], names, ",")
            for (j = 1; j <= m; j++)
                rank[names[j]] = i
        }
    }
    function bad(what) { printf "%s:%s: %s\n", $1, $2, what; status = 1 }
    $3 == "file" {
        name = $1; sub(/.*\//, "", name)
        if (name != "main.c" && name != "fuzz.c" && name in seen)
            printf "%s: there is already %s: file names are unique\n", $1, seen[name], status = 1
        seen[name] = $1
        if ($1 ~ /^lib\/[^\/]*\// && !(split($1, p, "/") && p[2] in rank))
            printf "%s: module %s has no place in the order, see %s\n", $1, p[2],
                   "scripts/check-includes.sh", status = 1
        next
    }
    {
        inc = $3; sub(/^[^"]*"/, "", inc); sub(/".*/, "", inc)
        split($1, from, "/"); split(inc, to, "/")
        if (inc ~ /\.\./)
            bad("\"" inc "\": name files from lib/")
        else if (from[1] == "tools") {
            if (inc != "omq.h" && inc != "omq_tools.h" && inc != "tool.h")
                bad("a program includes \"" inc "\"; only omq.h, omq_tools.h and tool.h")
        } else if (inc == "omq.h")
            next
        else if (inc == "omq_tools.h") {
            if (rank[from[2]] < rank["eval"])
                bad("only eval, port and train include omq_tools.h")
        } else if ($1 == "lib/omq_tools.h") { # gathers what some modules have for programs
            if (!(to[1] in rank) || inc ~ /_internal\.h$/)
                bad("omq_tools.h includes \"" inc "\"; only outward headers of modules")
        } else if (inc !~ /\//)
            bad("\"" inc "\": name files from lib/, as in \"" from[2] "/" inc "\"")
        else if (to[1] == from[2])
            next
        else if (!(to[1] in rank))
            bad("\"" inc "\": no such module")
        else if (!(rank[to[1]] < rank[from[2]]))
            bad(from[2] " includes \"" inc "\", which is not to its left")
        else if (inc ~ /_internal\.h$/)
            bad("\"" inc "\" is for " to[1] " alone")
    }
    END { if (!status) print "includes are in order"; exit status }'
