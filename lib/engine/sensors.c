/* SPDX-License-Identifier: MIT
 *
 * Readings of the machine: battery, temperature, load. Files of /sys and /proc
 * are a line each; whatever is not what it should be is a reading missing.
 */
#define _POSIX_C_SOURCE 200809L
#include "engine/governor.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LINE_BYTES = 512, MAX_ENTRIES = 256 };

void omq_sensors_init(struct omq_sensors *s, const char *root)
{
    *s = (struct omq_sensors){.root = root};
}

/* The first line of dir/name, without its end; false if there is none that fits. */
static bool read_line(const char *dir, const char *name, char line[LINE_BYTES])
{
    char path[PATH_BYTES], *end;
    struct stat st;
    ssize_t n = -1;
    int fd, length = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (length < 0 || (size_t)length >= sizeof(path))
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us */
    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        n = read(fd, line, LINE_BYTES - 1);
    close(fd);
    if (n <= 0)
        return false;
    line[n] = 0;
    if (strlen(line) != (size_t)n)
        return false;
    end = strchr(line, '\n');
    if (end)
        *end = 0;
    return end || n < LINE_BYTES - 1;
}

/* A whole number at *s, moved past it, of at most 18 digits. */
static bool take_whole(const char **s, int64_t *out)
{
    bool negative = **s == '-';
    const char *p = *s + negative;
    int n_digits = 0;
    int64_t x = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (++n_digits > 18)
            return false;
        x = 10 * x + (*p - '0');
    }
    if (n_digits == 0)
        return false;
    *s = p;
    *out = negative ? -x : x;
    return true;
}

/* A file that is one number within [lo, hi]. */
static bool read_whole(const char *dir, const char *name, int64_t lo, int64_t hi, int64_t *out)
{
    char line[LINE_BYTES];
    const char *s = line;

    return read_line(dir, name, line) && take_whole(&s, out) && !*s && *out >= lo && *out <= hi;
}

/* Calls fn for each folder whose name begins with prefix, up to MAX_ENTRIES of them. */
static void each_folder(const struct omq_sensors *s, const char *folder, const char *prefix,
                        void (*fn)(void *ctx, const char *dir), void *ctx)
{
    char path[PATH_BYTES], sub[PATH_BYTES];
    struct dirent *e;
    DIR *d;
    int n = snprintf(path, sizeof(path), "%s%s", s->root, folder);

    if (n < 0 || (size_t)n >= sizeof(path))
        return;
    d = opendir(path);
    if (!d)
        return;
    for (int i = 0; i < MAX_ENTRIES && (e = readdir(d));) {
        if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        i++;
        n = snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
        if (n > 0 && (size_t)n < sizeof(sub))
            fn(ctx, sub);
    }
    closedir(d);
}

struct batteries {
    int n, n_charging, n_drained;
    int64_t percent; /* sum */
};

/* Supplies without a capacity are chargers. */
static void add_battery(void *ctx, const char *dir)
{
    struct batteries *b = ctx;
    char line[LINE_BYTES];
    int64_t percent;

    if (!read_whole(dir, "capacity", 0, 100, &percent))
        return;
    if (read_line(dir, "scope", line) && strcmp(line, "Device") == 0)
        return; /* a mouse's */
    b->n++;
    b->percent += percent;
    if (!read_line(dir, "status", line))
        return;
    /* "Not charging": on mains, but full enough */
    b->n_charging += strcmp(line, "Charging") == 0 || strcmp(line, "Full") == 0 ||
                     strcmp(line, "Not charging") == 0;
    b->n_drained += strcmp(line, "Discharging") == 0;
}

/* Millidegrees; some zones read 0 or absolute zero when they are off. */
static void add_zone(void *ctx, const char *dir)
{
    double *hottest = ctx;
    int64_t milli;

    if (read_whole(dir, "temp", -50000, 150000, &milli))
        *hottest = fmax(*hottest, 1e-3 * (double)milli); /* of NaN and x, x */
}

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; guest
 * time is part of user time. Old kernels have fewer. */
static bool read_ticks(const struct omq_sensors *s, uint64_t *busy, uint64_t *total)
{
    enum { IDLE = 3, IOWAIT = 4, N = 8 };
    char line[LINE_BYTES];
    const char *p = line + 3;
    int64_t ticks;

    if (!read_line(s->root, "/proc/stat", line) || strncmp(line, "cpu ", 4) != 0)
        return false;
    *busy = *total = 0;
    for (int i = 0; i < N; i++) {
        while (*p == ' ')
            p++;
        if (!*p && i > IDLE)
            break;
        if (!take_whole(&p, &ticks) || ticks < 0 || (*p && *p != ' '))
            return false;
        *total += (uint64_t)ticks;
        *busy += i == IDLE || i == IOWAIT ? 0 : (uint64_t)ticks;
    }
    return true;
}

static double read_load(struct omq_sensors *s)
{
    uint64_t busy, total;
    double load = NAN;

    if (!read_ticks(s, &busy, &total)) {
        s->primed = false;
        return NAN;
    }
    /* counters may go back, iowait above all */
    if (s->primed && total > s->total && busy >= s->busy && busy - s->busy <= total - s->total)
        load = 100 * (double)(busy - s->busy) / (double)(total - s->total);
    s->primed = true;
    s->busy = busy;
    s->total = total;
    return load;
}

void omq_sensors_read(struct omq_sensors *s, struct omq_governor_sample *out)
{
    struct batteries b = {0};
    double hottest = NAN;

    each_folder(s, "/sys/class/power_supply", "", add_battery, &b);
    each_folder(s, "/sys/class/thermal", "thermal_zone", add_zone, &hottest);
    out->battery_percent = b.n ? (double)b.percent / b.n : NAN;
    out->charging = b.n_charging > 0 && b.n_drained == 0;
    out->temp_c = hottest;
    out->load_percent = read_load(s);
}
