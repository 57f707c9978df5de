/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* TIOCGWINSZ, isatty, sigaction */

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "omq_tools.h"

static const char *tool_name = "omq";

/* With descriptor 1 closed the next file opened would become stdout, and the
 * data would end in it. A descriptor that cannot be used for its purpose takes
 * the place, so that output fails with EBADF. */
static void secure_descriptors(void)
{
    static const int mode[3] = { O_WRONLY, O_RDONLY, O_WRONLY };

    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", mode[fd]) != fd)
            _exit(TOOL_FAILED);
}

void tool_begin(const char *name)
{
    tool_name = name;
    secure_descriptors();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond `ulimit -f` fails, and is said */
}

const int tool_stop_signals[] = { SIGINT, SIGTERM, 0 };

void tool_catch_signals(void (*fn)(int number), const int *numbers)
{
    /* a write that waits for a slow reader goes on: its answers are not lost */
    struct sigaction action = { .sa_handler = fn, .sa_flags = SA_RESTART }, old;

    sigemptyset(&action.sa_mask);
    for (int i = 0; numbers[i]; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
}

/* ---- messages ---- */

/* The length of the character at s, of a byte that is none 1; *control: terminals may act on
 * it. The zero at the end of the text ends what would be a character, too. */
static size_t character(const char *s, bool *control)
{
    size_t n;
    long c = omq_utf8_decode(s, 4, &n);

    if (c < 0) {
        *control = (unsigned char)*s < 0xa0;
        return 1;
    }
    *control = c < 0x20 || (c >= 0x7f && c < 0xa0);
    return n;
}

void tool_put_clean(FILE *f, const char *s, const char *keep)
{
    for (size_t n; *s; s += n) {
        bool control;

        n = character(s, &control);
        if (control && !strchr(keep, *s))
            putc('?', f);
        else
            fwrite(s, 1, n, f);
    }
}

static void put_message(const char *fmt, va_list ap)
{
    char buf[4096];

    vsnprintf(buf, sizeof(buf), fmt, ap);
    tool_progress_clear();
    fprintf(stderr, "%s: ", tool_name);
    tool_put_clean(stderr, buf, "");
    putc('\n', stderr);
}

void tool_message(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_message(fmt, ap);
    va_end(ap);
}

void tool_usage(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_message(fmt, ap);
    va_end(ap);
    fprintf(stderr, "try '%s --help'\n", tool_name);
    exit(TOOL_USAGE);
}

int tool_fail(const struct omq_err *err)
{
    tool_message("%s", err->msg);
    switch (err->code) {
    case OMQ_ECONFIG:
    case OMQ_EARG:
        return TOOL_USAGE;
    case OMQ_ESTOPPED:
        return TOOL_STOPPED;
    default:
        return TOOL_FAILED;
    }
}

void tool_init_library(void)
{
    struct omq_err err = { 0 };
    const char *isa = getenv("OMQ_CPU");
    char info[512];

    if (omq_init(isa && *isa ? isa : NULL, &err) != OMQ_OK) {
        tool_message(err.code == OMQ_EARG ? "OMQ_CPU: %s" : "%s", err.msg);
        exit(err.code == OMQ_EARG ? TOOL_USAGE : TOOL_FAILED);
    }
    if (tool_common.verbose) {
        omq_build_info(info, sizeof(info));
        tool_message("%s", info);
    }
}

/* ---- standard output ---- */

static int stdout_errno; /* of the first failure seen */

bool tool_stdout_broken(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return false;
    if (!stdout_errno)
        stdout_errno = errno ? errno : EIO;
    return true;
}

bool tool_reader_gone(void)
{
    struct pollfd p = { .fd = STDOUT_FILENO };

    return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

bool tool_reader_left(void)
{
    return tool_stdout_broken() || tool_reader_gone();
}

int tool_finish(int status)
{
    bool broken = tool_stdout_broken();

    if (fclose(stdout) != 0 && !broken) {
        stdout_errno = errno;
        broken = true;
    }
    if (!broken)
        return status;
    if (stdout_errno != EPIPE)
        tool_message("cannot write to standard output: %s", strerror(stdout_errno));
    return status == TOOL_OK ? TOOL_FAILED : status;
}

/* ---- formatting ---- */

void tool_put_shell(FILE *f, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./:,@%";

    if (*s && strspn(s, plain) == strlen(s)) {
        fputs(s, f);
        return;
    }
    putc('\'', f);
    for (size_t n; *s; s += n) {
        bool control;

        n = character(s, &control);
        if (*s == '\'')
            fputs("'\\''", f);
        else if (control)
            putc('?', f);
        else
            fwrite(s, 1, n, f);
    }
    putc('\'', f);
}

void tool_json_string(FILE *f, const char *s)
{
    putc('"', f);
    for (size_t n; *s; s += n) {
        long c = omq_utf8_decode(s, 4, &n);

        if (c < 0) {
            fputs("\\ufffd", f);
            n = 1;
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(f, "\\u%04lx", c);
        } else {
            if (*s == '"' || *s == '\\')
                putc('\\', f);
            fwrite(s, 1, n, f);
        }
    }
    putc('"', f);
}

/* The shortest form that reads back the same. */
void tool_json_number(FILE *f, double x)
{
    char text[32];
    int digits = 15;

    if (!isfinite(x)) {
        fputs("null", f);
        return;
    }
    do
        snprintf(text, sizeof(text), "%.*g", digits, x);
    while (strtod(text, NULL) != x && ++digits <= 17);
    fputs(text, f);
}

void tool_json_numbers(const struct tool_number *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        printf(",\"%s\":", list[i].name);
        tool_json_number(stdout, list[i].value);
    }
}

void tool_put_figure(FILE *f, double x, int width, int digits)
{
    if (isnan(x))
        fprintf(f, "%*s", width, "-");
    else
        fprintf(f, "%*.*f", width, digits, x);
}

const char *tool_short_precision(const char *name, char *buf, size_t size)
{
    int w, a, n = 0;

    if (sscanf(name, "w%da%d%n", &w, &a, &n) == 2 && w == a && name[n] == '\0')
        snprintf(buf, size, "%d", w);
    else
        snprintf(buf, size, "%s", name);
    return buf;
}

const char *tool_bytes(uint64_t n, char *buf, size_t size)
{
    static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB" };
    double x = (double)n / 1024;
    int u = 0;

    if (n < 1024) {
        snprintf(buf, size, "%d B", (int)n);
        return buf;
    }
    while (x >= 1023.95 && u < 3) {
        x /= 1024;
        u++;
    }
    snprintf(buf, size, "%.1f %s", x, unit[u]);
    return buf;
}

const char *tool_duration(double seconds, char *buf, size_t size)
{
    long s = isfinite(seconds) && seconds > 0 && seconds < 1e9 ? (long)(seconds + 0.5) : 0;

    if (s >= 3600)
        snprintf(buf, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, size, "%ld:%02ld", s / 60, s % 60);
    return buf;
}

/* ---- the progress line ---- */

static int progress_shown; /* characters of it on the terminal */

bool tool_progress_wanted(void)
{
    return !tool_common.quiet && isatty(STDERR_FILENO);
}

int tool_progress_columns(void)
{
    struct winsize ws;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) != 0 || ws.ws_col == 0)
        return 79;
    return ws.ws_col - 1; /* the last column would wrap on some terminals */
}

void tool_progress(const char *line)
{
    int columns = tool_progress_columns();
    int n = (int)strlen(line), pad;

    if (n > columns)
        n = columns;
    pad = (progress_shown < columns ? progress_shown : columns) - n;
    fprintf(stderr, "\r%.*s%*s", n, line, pad > 0 ? pad : 0, "");
    if (pad > 0)
        fprintf(stderr, "\r%.*s", n, line); /* leaves the cursor at the end of the text */
    fflush(stderr);
    progress_shown = n;
}

void tool_progress_clear(void)
{
    if (!progress_shown)
        return;
    tool_progress("");
    fputs("\r", stderr);
    progress_shown = 0;
}
