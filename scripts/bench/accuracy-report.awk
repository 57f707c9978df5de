# SPDX-License-Identifier: MIT
# accuracy-report.awk: figures of accuracy.sh as Markdown. Two files: the names to
# report, "name digest", in their order (no digest: not known); and the figures.
# Variables: seeds, " 1 2 " or empty for all; compare, "A B" or empty.
#
# top1[row, precision, seed] is all there is of accuracies. A row is a name, or
# the stem of several names STEM-N that have one precision each.

BEGIN { FS = "\t" }

NR == FNR {
    names[++n_names] = $1
    digest[$1] = $2
    next
}
FNR > 1 && ($1 in digest) && (seeds == "" || index(seeds, " " $2 " ")) { keep($0) }

END {
    if (!n_lines) {
        complain("there are no figures of these names and seeds")
        exit 1
    }
    find_stems()
    for (i = 1; i <= n_lines; i++)
        add(lines[i])
    sort_precisions()
    if (compare == "")
        exit print_table()
    split(compare, pair, " ")
    exit print_comparison(pair[1], pair[2])
}

function complain(text) { print "accuracy.sh: " text >"/dev/stderr" }

# ---- reading ----

function keep(line,   f, n) {
    lines[++n_lines] = line
    split(line, f, FS)
    n = split(f[4], parts, " ")
    only[f[1]] = n == 1 ? parts[1] : ""
    sub(/=.*/, "", only[f[1]])
}

function stem_of(name) {
    if (name !~ /[^-]-[0-9]+$/)
        return ""
    sub(/-[0-9]+$/, "", name)
    return name
}

# STEM is a row if at least two names make it, each with a precision that no
# other has, and it is not a name itself.
function find_stems(   i, name, stem) {
    for (i = 1; i <= n_names; i++) {
        name = names[i]
        stem = stem_of(name)
        if (stem == "" || stem in digest || only[name] == "")
            continue
        clash[stem] += (stem, only[name]) in taken
        taken[stem, only[name]] = 1
        members[stem]++
    }
}

function row_of(name,   stem) {
    stem = stem_of(name)
    return only[name] != "" && members[stem] > 1 && !clash[stem] ? stem : name
}

function add(line,   f, i, n, row, part, cells) {
    split(line, f, FS)
    row = row_of(f[1])
    n = split(f[4], cells, " ")
    for (i = 1; i <= n; i++) {
        split(cells[i], part, "=")
        top1[row, part[1], f[2]] = part[2]
        has[row, part[1]] = 1
        has_precision[part[1]] = 1
    }
    seed_seen[f[2]] = 1
    cpu[row, f[2]] += f[6]
    row_splits[row] = index(row_splits[row], f[3]) ? row_splits[row] : row_splits[row] " " f[3]
    if (!((row, f[12]) in commits)) {
        commits[row, f[12]] = 1
        row_commits[row] = row_commits[row] " " f[12]
    }
    if (digest[f[1]] != "" && f[13] != digest[f[1]])
        stale[row] = any_stale = 1
    present[row] = 1
}

# Highest first: w8a8 before w4a8 before w4a4.
function rank(precision,   part) {
    split(substr(precision, 2), part, "a")
    return 100 * part[1] + part[2]
}

function sort_precisions(   p, i) {
    for (p in has_precision) {
        for (i = n_precisions++; i > 0 && rank(precisions[i]) < rank(p); i--)
            precisions[i + 1] = precisions[i]
        precisions[i + 1] = p
    }
}

function label(precision,   part) {
    split(substr(precision, 2), part, "a")
    return part[1] == part[2] ? part[1] : precision
}

# ---- statistics ----

# Mean over the row's widths at a seed; empty if one of them is not there. only_in:
# of the widths that this other row has too, if it is not empty.
function row_mean(row, seed, only_in,   i, n, sum, p) {
    for (i = 1; i <= n_precisions; i++) {
        p = precisions[i]
        if (!((row, p) in has) || (only_in != "" && !((only_in, p) in has)))
            continue
        if (!((row, p, seed) in top1))
            return ""
        sum += top1[row, p, seed]
        n++
    }
    return n ? sum / n : ""
}

# One value: of a precision, or the mean over widths where that is empty.
function value(row, p, seed, only_in) {
    if (p == "")
        return row_mean(row, seed, only_in)
    return (row, p, seed) in top1 ? top1[row, p, seed] : ""
}

# Number, mean and standard deviation (of a sample) of x[1..n], to s.
function statistics(x, n, s,   i, d) {
    s["n"] = n
    s["mean"] = s["sd"] = 0
    for (i = 1; i <= n; i++)
        s["mean"] += x[i] / n
    for (i = 1; i <= n; i++) {
        d = x[i] - s["mean"]
        s["sd"] += d * d
    }
    s["sd"] = n > 1 ? sqrt(s["sd"] / (n - 1)) : 0
}

function over_seeds(row, p, only_in, s,   seed, v, x, n) {
    for (seed in seed_seen) {
        v = value(row, p, seed, only_in)
        if (v != "")
            x[++n] = v
    }
    statistics(x, n + 0, s)
}

function cell(s) {
    if (s["n"] == 0)
        return "-"
    return s["n"] == 1 ? sprintf("%.2f", s["mean"]) \
                       : sprintf("%.2f ± %.2f", s["mean"], s["sd"])
}

# ---- the table ----

# Seeds of a row: "3", or "2-3" if not all widths have as many.
function count_seeds(row,   i, s, least, most) {
    for (i = 1; i <= n_precisions; i++) {
        if (!((row, precisions[i]) in has))
            continue
        over_seeds(row, precisions[i], "", s)
        if (most == "" || s["n"] < least)
            least = s["n"]
        if (s["n"] > most + 0)
            most = s["n"]
    }
    return least == most ? most : least "-" most
}

# CPU minutes of a seed, all its parts, over the seeds that are whole.
function minutes(row,   seed, n, sum) {
    for (seed in seed_seen)
        if (row_mean(row, seed, "") != "") {
            sum += cpu[row, seed] / 60
            n++
        }
    return n ? sprintf("%.1f", sum / n) : "-"
}

function print_row(row,   i, n, s, text, mean) {
    for (i = 1; i <= n_precisions; i++) {
        over_seeds(row, precisions[i], "", s)
        text = text " | " cell(s)
        n += s["n"] > 0
    }
    over_seeds(row, "", "", s)
    mean = cell(s)
    if (n < n_precisions && s["n"])
        mean = mean " (of " n ")"
    print "| " row (row in stale ? " *" : "") " | " count_seeds(row) " | " mean text " | " \
        minutes(row) " |"
}

function print_table(   i, head, rule, row) {
    head = "| name | seeds | mean"
    rule = "|---|---|---"
    for (i = 1; i <= n_precisions; i++) {
        head = head " | " label(precisions[i])
        rule = rule "|---"
    }
    print head " | CPU min |"
    print rule "|---|"
    for (i = 1; i <= n_names; i++) {
        row = row_of(names[i])
        if ((row in present) && !(row in printed))
            print_row(row)
        printed[row] = 1
    }
    print "\nTop-1 in %, mean and standard deviation over the seeds; CPU minutes of one seed."
    print_splits()
    print_commits(present)
    if (any_stale)
        print "\n\\* Some of its figures are of other settings than the table has now."
    return 0
}

# What images the accuracies are of: held-out training images are not the test's.
function print_splits(   i, row, list) {
    for (i = 1; i <= n_names; i++) {
        row = row_of(names[i])
        if (row_splits[row] != "" && row_splits[row] != " test" && !(row in listed)) {
            list = list (list == "" ? "" : ",") " " row
            listed[row] = 1
        }
    }
    print list == "" ? "All on test images." \
                     : "On test images, but these on held-out training images:" list "."
}

# Rows that different programs trained are not of one method to the last digit.
function print_commits(rows,   row, i, n, parts, seen, n_seen) {
    for (row in rows) {
        n = split(row_commits[row], parts, " ")
        for (i = 1; i <= n; i++)
            n_seen += !seen[parts[i]]++
    }
    if (n_seen > 1)
        print "They were trained by the programs of " n_seen " commits, which the file of" \
            " figures names."
}

# ---- the comparison ----

# Mean difference and its standard error, to d: of the seeds that have both; if
# that is at most one where there are more, as of independent samples.
function difference(a, b, p, d,   seed, x, y, both, n, na, nb, u, v, s, t) {
    for (seed in seed_seen) {
        u = value(a, p, seed, b)
        v = value(b, p, seed, a)
        if (u != "" && v != "")
            both[++n] = u - v
        if (u != "")
            x[++na] = u
        if (v != "")
            y[++nb] = v
    }
    statistics(both, n + 0, s)
    d["mean"] = s["mean"]
    d["error"] = n > 1 ? sprintf("%.2f", s["sd"] / sqrt(n)) : "-"
    d["n"] = n " paired"
    if (!na || !nb)
        return 0
    if (n > 1 || (n == 1 && (na == 1 || nb == 1)))
        return 1
    statistics(x, na, s)
    statistics(y, nb, t)
    d["mean"] = s["mean"] - t["mean"]
    d["n"] = na " and " nb
    d["error"] = "-"
    if (na > 1 && nb > 1)
        d["error"] = sprintf("%.2f", sqrt(s["sd"] ^ 2 / na + t["sd"] ^ 2 / nb))
    return 1
}

function print_difference(a, b, p,   d, s, t) {
    if (!difference(a, b, p, d))
        return
    over_seeds(a, p, b, s)
    over_seeds(b, p, a, t)
    print "| " (p == "" ? "mean" : label(p)) " | " cell(s) " | " cell(t) " | " \
        sprintf("%+.2f", d["mean"]) " | " d["error"] " | " d["n"] " |"
}

function print_comparison(a, b,   i) {
    if (!(a in present) || !(b in present)) {
        complain("there are no figures of '" (a in present ? b : a) "'")
        return 1
    }
    print "| width | " a " | " b " | " a " - " b " | standard error | seeds |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= n_precisions; i++)
        print_difference(a, b, precisions[i])
    print_difference(a, b, "")
    print "\nTop-1 in %; the mean is over the widths that both have, a"
    print "difference of paired seeds over those that both have."
    compared[a] = compared[b] = 1
    print_commits(compared)
    if (row_splits[a] != row_splits[b])
        complain("warning: these are accuracies on different images:" row_splits[a] " and" \
                 row_splits[b])
    if ((a in stale) || (b in stale))
        complain("warning: some of these figures are of other settings than the table has now")
    return 0
}
