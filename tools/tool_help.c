/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
    HELP_COLUMN = 26,
    HELP_WIDTH = 79,
    MDOC_WIDTH = 76, /* with room for escapes */
};

void tool_option_suffix(const struct tool_option *o, char *buf, size_t size)
{
    char range[128] = "";

    if (o->number && o->max == INT_MAX)
        snprintf(range, sizeof(range), "%d or more %s", o->min, o->unit);
    else if (o->number)
        snprintf(range, sizeof(range), "%d to %d %s", o->min, o->max, o->unit);
    for (int i = 0; o->words && o->words[i]; i++) {
        size_t used = strlen(range);

        snprintf(range + used, sizeof(range) - used, "%s%s",
                 i == 0 ? "" : o->words[i + 1] ? ", " : " or ", o->words[i]);
    }
    if (range[0] && o->def)
        snprintf(buf, size, " (%s; default %s)", range, o->def);
    else if (range[0] || o->def)
        snprintf(buf, size, " (%s%s)", range[0] ? range : "default ", range[0] ? "" : o->def);
    else
        buf[0] = '\0';
}

/* Help text with the suffix before its last full stop. */
static void row_text(const struct tool_option *o, char *buf, size_t size)
{
    char suffix[192];
    size_t n = strlen(o->help);
    int body = (int)(n && o->help[n - 1] == '.' ? n - 1 : n);

    tool_option_suffix(o, suffix, sizeof(suffix));
    snprintf(buf, size, "%.*s%s.", body, o->help, suffix);
}

/* Words of text from column `at` on, broken before HELP_WIDTH. */
static void put_wrapped(const char *text, int at)
{
    int column = at;

    while (*text) {
        int n = (int)strcspn(text, " ");

        if (column > HELP_COLUMN && column + 1 + n > HELP_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            putchar(' ');
            column++;
        }
        printf("%.*s", n, text);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

void tool_print_help(const struct tool *tool, const struct tool_option *const *rows, int n)
{
    printf("Usage: %s [options] %s%s%s\n%s\n\nOptions:\n", tool->name, tool->operand,
           tool->more ? " " : "", tool->more ? tool->more : "", tool->summary);
    for (int i = 0; i < n; i++) {
        const struct tool_option *o = rows[i];
        char left[80], text[1024], letter[8] = "    ";

        if (o->letter)
            snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        snprintf(left, sizeof(left), "  %s--%s%s%s", letter, o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        printf("%-*s", HELP_COLUMN, left);
        if (strlen(left) + 2 > HELP_COLUMN)
            printf("\n%*s", HELP_COLUMN, "");
        row_text(o, text, sizeof(text));
        put_wrapped(text, HELP_COLUMN);
    }
    printf("\nExamples:\n");
    for (int i = 0; tool->examples[i]; i++)
        printf("  %s\n", tool->examples[i]);
    printf("\nMore: man %s, man omq\n", tool->name);
}

/* One word as mdoc: "--x" is not turned into a dash, and nothing at the start of
 * a line is taken for a macro. Returns the columns it took. */
static int put_mdoc_word(const char *s, int n, bool starts_line)
{
    int columns = n;

    for (int i = 0; i < n; i++) {
        if (i == 0 && starts_line && (s[i] == '.' || s[i] == '\''))
            columns += printf("\\&%c", s[i]) - 1;
        else if (s[i] == '\\')
            columns += printf("\\e") - 1;
        else if (s[i] == '-' && ((i + 1 < n && s[i + 1] == '-') || (i > 0 && s[i - 1] == '-')))
            columns += printf("\\-") - 1;
        else
            putchar(s[i]);
    }
    return columns;
}

/* Text as mdoc: each sentence begins a line, and no line is long. */
static void put_mdoc(const char *s)
{
    int column = 0;

    while (*s) {
        int n = (int)strcspn(s, " ");

        if (column > 0 && column + 1 + n > MDOC_WIDTH) {
            putchar('\n');
            column = 0;
        } else if (column > 0) {
            putchar(' ');
            column++;
        }
        column += put_mdoc_word(s, n, column == 0);
        if (s[n - 1] == '.' && s[n] == ' ') {
            putchar('\n');
            column = 0;
        }
        s += n;
        s += strspn(s, " ");
    }
    putchar('\n');
}

void tool_print_mdoc(const struct tool_option *const *rows, int n)
{
    printf(".Bl -tag -width Ds\n");
    for (int i = 0; i < n; i++) {
        const struct tool_option *o = rows[i];
        char text[1024];

        printf(".It ");
        if (o->letter)
            printf("Fl %c , ", o->letter);
        printf("Fl \\-%s%s%s\n", o->name, o->arg ? " Ar " : "", o->arg ? o->arg : "");
        row_text(o, text, sizeof(text));
        put_mdoc(text);
    }
    printf(".El\n");
}

void tool_print_completion(const struct tool_option *const *rows, int n)
{
    for (int i = 0; i < n; i++) {
        const struct tool_option *o = rows[i];

        for (int form = o->letter ? 0 : 1; form < 2; form++) {
            if (form == 0)
                printf("-%c", o->letter);
            else
                printf("--%s", o->name);
            if (o->arg)
                printf("\t");
            if (o->arg && !o->words)
                printf("%s", o->arg);
            for (int w = 0; o->words && o->words[w]; w++)
                printf("%s%s", w ? "|" : "", o->words[w]);
            putchar('\n');
        }
    }
}
