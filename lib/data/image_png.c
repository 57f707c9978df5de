/* SPDX-License-Identifier: MIT
 *
 * PNG by libspng, scanline by scanline: it undoes compression, filters and
 * interlacing, and samples are widened here, as Pillow does it. Fewer than 8
 * bits spread to 0..255; of 16 bits the high byte counts, but 16-bit grey is
 * cut off at 255. Alpha and tRNS are dropped, gamma is not applied.
 */
#include <stdlib.h>

#include <spng.h>

#include "data/data_internal.h"

enum {
    MAX_CHUNK = 16 << 20, /* of text, profiles and other things that are kept, not used */
    MAX_CACHE = 32 << 20,
    DEFLATE_RATIO = 1032, /* what zlib can do at best */
};

/* Whether libspng was refused memory: zlib inside it calls that damaged data. */
static _Thread_local bool no_memory;

static void *take(void *p)
{
    if (!p)
        no_memory = true;
    return p;
}

static void *png_malloc(size_t n) { return take(malloc(n)); }
static void *png_realloc(void *p, size_t n) { return take(realloc(p, n)); }
static void *png_calloc(size_t n, size_t size) { return take(calloc(n, size)); }

struct png {
    spng_ctx *ctx;
    struct spng_ihdr head;
    struct spng_plte palette;
    struct omq_image im;
    const char *name;
    struct omq_err *err;
};

/* code of libspng, met in `where` ("in its header") */
static int fail(const struct png *p, int code, const char *where)
{
    if (no_memory || code == SPNG_EMEM)
        return omq_fail(p->err, OMQ_ENOMEM, "cannot allocate what decoding '%s' needs", p->name);
    if (code == SPNG_ECHUNK_LIMITS)
        return omq_fail(p->err, OMQ_EUNSUP, "'%s' has more text, profiles and the like than the "
                        "limit of %d MiB", p->name, MAX_CHUNK >> 20);
    return omq_fail(p->err, OMQ_EFORMAT, "'%s' is damaged %s: %s", p->name, where,
                    code == SPNG_IO_EOF ? "it breaks off" : spng_strerror(code));
}

static int fail_at_row(const struct png *p, int code, uint32_t row)
{
    char where[64];

    snprintf(where, sizeof(where), "at row %u of %u", row, p->head.height);
    return fail(p, code, where);
}

static int n_samples(const struct spng_ihdr *h)
{
    switch (h->color_type) {
    case SPNG_COLOR_TYPE_TRUECOLOR:
        return 3;
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA:
        return 4;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
        return 2;
    default:
        return 1;
    }
}

static int read_header(struct png *p, size_t n_bytes)
{
    const struct spng_ihdr *h = &p->head;
    uint64_t row;
    int rc = spng_get_ihdr(p->ctx, &p->head);

    if (rc != 0)
        return fail(p, rc, "in its header");
    if ((rc = omq_image_check_size(h->height, h->width, p->name, p->err)) < 0)
        return rc;
    row = 1 + ((uint64_t)h->width * (uint64_t)n_samples(h) * h->bit_depth + 7) / 8;
    if (row * h->height / DEFLATE_RATIO > n_bytes)
        return omq_fail(p->err, OMQ_EFORMAT, "'%s' claims %u x %u pixels, more than %zu bytes of "
                        "PNG data can hold", p->name, h->width, h->height, n_bytes);
    return OMQ_OK;
}

/* Sample i of a scanline, in its own depth. */
static unsigned sample(const uint8_t *row, size_t i, unsigned depth)
{
    size_t bit = i * depth;

    if (depth == 16)
        return (unsigned)row[2 * i] << 8 | row[2 * i + 1];
    return (unsigned)row[bit / 8] >> (8 - depth - bit % 8) & ((1u << depth) - 1);
}

/* The same as 0..255, of colours. */
static unsigned sample8(const uint8_t *row, size_t i, unsigned depth)
{
    unsigned v = sample(row, i, depth);

    return depth == 16 ? v >> 8 : v * 255 / ((1u << depth) - 1);
}

/* Pixel i of a scanline to dst; false for an index that the palette lacks. */
static bool put_pixel(const struct png *p, uint8_t *dst, const uint8_t *row, size_t i)
{
    unsigned depth = p->head.bit_depth, v;
    size_t k = i * (size_t)n_samples(&p->head);
    const struct spng_plte_entry *e;

    switch (p->head.color_type) {
    case SPNG_COLOR_TYPE_INDEXED:
        v = sample(row, i, depth);
        if (v >= p->palette.n_entries)
            return false;
        e = &p->palette.entries[v];
        omq_image_put(dst, p->im.channels, e->red, e->green, e->blue);
        break;
    case SPNG_COLOR_TYPE_GRAYSCALE:
        v = depth == 16 ? sample(row, i, 16) : sample8(row, i, depth);
        v = v < 255 ? v : 255;
        omq_image_put(dst, p->im.channels, v, v, v);
        break;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
        v = sample8(row, k, depth);
        omq_image_put(dst, p->im.channels, v, v, v);
        break;
    default:
        omq_image_put(dst, p->im.channels, sample8(row, k, depth), sample8(row, k + 1, depth),
                      sample8(row, k + 2, depth));
    }
    return true;
}

/* The pixels of one scanline to where they belong: in an interlaced picture, at
 * every dx-th place from x0. */
static int put_row(struct png *p, const uint8_t *row, const struct spng_row_info *info)
{
    static const uint8_t first[7] = {0, 4, 0, 2, 0, 1, 0}, step[7] = {8, 8, 4, 4, 2, 2, 1};
    bool laced = p->head.interlace_method != 0;
    size_t x0 = laced ? first[info->pass] : 0, dx = laced ? step[info->pass] : 1;
    size_t c = (size_t)p->im.channels, width = p->head.width;
    uint8_t *dst = p->im.pixels + info->row_num * width * c;

    for (size_t x = x0, i = 0; x < width; x += dx, i++)
        if (!put_pixel(p, dst + x * c, row, i))
            return fail_at_row(p, SPNG_EPLTE_IDX, info->row_num);
    return OMQ_OK;
}

static int read_rows(struct png *p, uint8_t *row, size_t n_row)
{
    struct spng_row_info info;
    int end, rc;

    do {
        rc = spng_get_row_info(p->ctx, &info);
        if (rc != 0)
            return fail(p, rc, "between rows");
        end = spng_decode_scanline(p->ctx, row, n_row);
        if (end != 0 && end != SPNG_EOI)
            return fail_at_row(p, end, info.row_num);
        if ((rc = put_row(p, row, &info)) < 0)
            return rc;
    } while (end == 0);
    rc = spng_decode_chunks(p->ctx); /* reads on to the end marker */
    return rc == 0 ? OMQ_OK : fail(p, rc, "after its pixels");
}

static int read_pixels(struct png *p)
{
    size_t n_row = (size_t)p->head.width * (size_t)n_samples(&p->head) * 2;
    uint8_t *row;
    int rc;

    rc = spng_decode_image(p->ctx, NULL, 0, SPNG_FMT_RAW, SPNG_DECODE_PROGRESSIVE);
    if (rc != 0)
        return fail(p, rc, "before its first row");
    if (p->head.color_type == SPNG_COLOR_TYPE_INDEXED &&
        (rc = spng_get_plte(p->ctx, &p->palette)) != 0)
        return fail(p, rc, "in its palette");
    row = malloc(n_row); /* wide enough for 16 bits, and for any pass */
    if (!row)
        return omq_fail(p->err, OMQ_ENOMEM, "cannot allocate a row of '%s'", p->name);
    rc = read_rows(p, row, n_row);
    free(row);
    return rc;
}

static int decode_png(struct omq_image *out, const uint8_t *bytes, size_t n_bytes, int channels,
                      const char *name, struct omq_err *err)
{
    struct spng_alloc alloc = {png_malloc, png_realloc, png_calloc, free};
    struct png p = {.name = name, .err = err};
    int rc;

    no_memory = false;
    p.ctx = spng_ctx_new2(&alloc, 0);
    if (!p.ctx)
        return fail(&p, SPNG_EMEM, "");
    if ((rc = spng_set_chunk_limits(p.ctx, MAX_CHUNK, MAX_CACHE)) != 0 ||
        (rc = spng_set_png_buffer(p.ctx, bytes, n_bytes)) != 0)
        rc = fail(&p, rc, "in its header");
    else if ((rc = read_header(&p, n_bytes)) == OMQ_OK &&
             (rc = omq_image_alloc(&p.im, (int)p.head.height, (int)p.head.width, channels,
                                   err)) == OMQ_OK)
        rc = read_pixels(&p);
    spng_ctx_free(p.ctx);
    if (rc < 0)
        omq_image_release(&p.im);
    else
        *out = p.im;
    return rc;
}

const struct omq_image_format omq_image_png = {
    {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, 8, decode_png,
};
