# SPDX-License-Identifier: MIT
# curves.awk: accuracy over epochs as an SVG picture on standard output, a panel a
# precision and a line a label. Lines of input: label, precision, epoch and top-1 in %,
# with tabs between; the first one is their names. Variables: title; from, the least
# accuracy that is drawn (0 without it).
#
#   awk -f curves.awk -v title="..." -v from=60 curves.tsv >curves.svg

BEGIN {
    FS = "\t"
    split("#0072b2 #d55e00 #009e73 #cc79a7 #e69f00 #56b4e9 #000000", colour, " ")
    wide = 230; high = 220; left = 42; top = 54; gap = 48
}

NR == 1 { next }

$4 < from { next }

{
    if (!($1 in number))
        label[number[$1] = ++n_labels] = $1
    if (!($2 in panel))
        precision[panel[$2] = ++n_panels] = $2
    points[number[$1], panel[$2], ++n_points[number[$1], panel[$2]]] = $3 "\t" $4
    last = $3 > last ? $3 + 0 : last
    best[$2] = $4 > best[$2] ? $4 + 0 : best[$2]
    if (!($2 in worst) || $4 < worst[$2])
        worst[$2] = $4 + 0
}

END {
    if (!n_panels || last <= 0) {
        print "curves.awk: no figures" >"/dev/stderr"
        exit 1
    }
    size = left + n_panels * (wide + gap)
    place_labels()
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" " \
           "font-family=\"sans-serif\" font-size=\"12\">\n", size, top + high + 44 + 18 * n_rows
    print "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    text(left, 20, "start", title, "15")
    for (p = 1; p <= n_panels; p++)
        draw_panel(p)
    for (l = 1; l <= n_labels; l++) {
        y = top + high + 30 + 18 * label_row[l]
        printf "<path d=\"M%d %dh22\" stroke=\"%s\" stroke-width=\"2\"/>\n", label_x[l], y,
               colour[l]
        text(label_x[l] + 28, y + 4, "start", label[l], "12")
    }
    print "</svg>"
}

# Side by side, and on another row where there is no room.
function place_labels(   x, l) {
    x = left
    n_rows = 1
    for (l = 1; l <= n_labels; l++) {
        if (x > left && x + 28 + 6.6 * length(label[l]) > size) {
            x = left
            n_rows++
        }
        label_x[l] = x
        label_row[l] = n_rows
        x += 52 + 6.6 * length(label[l])
    }
}

function text(x, y, anchor, s, size) {
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    printf "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" font-size=\"%d\">%s</text>\n", x, y, anchor,
           size, s
}

# Round distances of three to six lines.
function step_of(span,   unit) {
    unit = 1
    while (span / unit > 6 * 5)
        unit *= 10
    return span / unit > 6 * 2 ? 5 * unit : span / unit > 6 ? 2 * unit : unit
}

function floor_to(v, unit) { return int(v / unit) * unit }

function x_of(e) { return x0 + wide * e / last }
function y_of(v) { return top + high * (y_max - v) / (y_max - y_min) }

function draw_panel(p,   unit, v, e) {
    x0 = left + (p - 1) * (wide + gap)
    unit = step_of(best[precision[p]] - worst[precision[p]])
    y_min = floor_to(worst[precision[p]], unit)
    y_max = floor_to(best[precision[p]] - 0.001, unit) + unit
    text(x0, top - 10, "start", precision[p], "13")
    for (v = y_min; v <= y_max; v += unit) {
        printf "<path d=\"M%d %.1fh%d\" stroke=\"#ddd\"/>\n", x0, y_of(v), wide
        text(x0 - 6, y_of(v) + 4, "end", v, "11")
    }
    unit = step_of(last)
    for (e = 0; e <= last; e += unit)
        text(x_of(e), top + high + 16, "middle", e, "11")
    text(x0 + wide / 2, top + high + 30, "middle", "epochs", "11")
    for (l = 1; l <= n_labels; l++)
        draw_line(l, p)
}

function draw_line(l, p,   i, point, n) {
    n = n_points[l, p]
    if (!n)
        return
    printf "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" d=\"", colour[l]
    for (i = 1; i <= n; i++) {
        split(points[l, p, i], point, "\t")
        printf "%s%.1f %.1f", i == 1 ? "M" : "L", x_of(point[1]), y_of(point[2])
    }
    print "\"/>"
    for (i = 1; i <= n; i++) {
        split(points[l, p, i], point, "\t")
        printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n", x_of(point[1]),
               y_of(point[2]), colour[l]
    }
}
