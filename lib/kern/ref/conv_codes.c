/* SPDX-License-Identifier: MIT
 *
 * The integer engine's convolution, plainly: the definition of its numerics.
 */
#include <string.h>

#include "base/bytes.h"
#include "kern/kern_internal.h"
#include "kern/ref/epilogue.h"

enum { OUTPUTS = 16, INPUTS = 4, BLOCK = OUTPUTS * INPUTS };

static size_t fours(const struct omq_conv_shape *s)
{
    return ((size_t)s->run + INPUTS - 1) / INPUTS;
}

static size_t blocks_of_16(const struct omq_conv_shape *s)
{
    return (size_t)s->n_runs * fours(s);
}

void omq_conv_set_runs(struct omq_conv_shape *s, const struct omq_window *g, bool apart,
                       bool whole)
{
    s->n_runs = whole ? 1 : apart ? g->kh * g->kw : g->kh;
    s->run = whole ? g->h * g->w * g->c : apart ? g->c_count : g->kw * g->c;
}

void omq_conv_place_runs(const struct omq_conv_shape *s, const struct omq_window *g, bool apart,
                         ptrdiff_t row, ptrdiff_t *run_at)
{
    for (int i = 0; i < s->n_runs; i++)
        run_at[i] = apart ? i / g->kw * row + i % g->kw * (ptrdiff_t)g->c : i * row;
}

size_t omq_conv_packed_at(const struct omq_conv_shape *s, int o)
{
    return (size_t)(o / OUTPUTS) * blocks_of_16(s) * (size_t)s->w_bits * sizeof(uint64_t);
}

size_t omq_conv_packed_size(const struct omq_conv_shape *s)
{
    return omq_conv_packed_at(s, omq_conv_padded(s->oc));
}

/* Tiles of kern/x86/conv_codes_winograd_template.h, 18 values of 16 bits a channel. */
static size_t tiles_scratch(const struct omq_conv_shape *s)
{
#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
    const int c = s->run / 3;

    if (s->n_runs == 3 && s->run % 48 == 0)
        return (size_t)omq_winograd_tiles(c) * (size_t)(18 * c) * sizeof(int16_t);
#else
    (void)s;
#endif
    return 0;
}

/* And room for the weights of 64 outputs in 16 bits. */
size_t omq_conv_codes_scratch(const struct omq_conv_shape *s)
{
    return blocks_of_16(s) * 4 * BLOCK * sizeof(int16_t) + tiles_scratch(s) + 64;
}

/* ---- packing ---- */

static int level_of(const struct omq_conv_shape *s, int k)
{
    return s->midrise ? (k + (1 << s->w_bits) - 1) / 2 : k + (1 << (s->w_bits - 1));
}

static int code_of(const struct omq_conv_shape *s, int level)
{
    return s->midrise ? 2 * level - ((1 << s->w_bits) - 1) : level - (1 << (s->w_bits - 1));
}

/* k of output o, and the next few; NULL for outputs that are missing. */
static void pack_block(const struct omq_conv_shape *s, const int8_t *const k[OUTPUTS], int n_inputs,
                       uint8_t *packed)
{
    uint64_t planes[8] = {0};

    for (int o = 0; o < OUTPUTS; o++)
        for (int i = 0; i < n_inputs && k[o]; i++) {
            int bit = INPUTS * o + i;

            if (s->w_bits == 8)
                packed[bit] = (uint8_t)k[o][i];
            else
                for (int p = 0; p < s->w_bits; p++)
                    planes[p] |= (uint64_t)(level_of(s, k[o][i]) >> p & 1) << bit;
        }
    for (int p = 0; s->w_bits < 8 && p < s->w_bits; p++)
        omq_put_le64(packed + 8 * p, planes[p]);
}

/* The sum of k is of int32, as those of its products with codes are. */
static int32_t start_of(const struct omq_conv_shape *s, const int8_t *k)
{
    size_t n = (size_t)s->n_runs * (size_t)s->run;
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += k[i];
    return -s->zero_point * sum;
}

void omq_pack_codes_ref(const struct omq_conv_shape *s, const int8_t *k, void *packed,
                        int32_t *start)
{
    const size_t run = (size_t)s->run, filter = (size_t)s->n_runs * run;
    uint8_t *to = packed;

    memset(packed, 0, omq_conv_packed_size(s));
    for (int first = 0; first < s->oc; first += OUTPUTS) {
        for (int o = first; o < first + OUTPUTS; o++)
            start[o] = o < s->oc ? start_of(s, k + (size_t)o * filter) : 0;
        for (size_t at = 0; at < filter; at += run)
            for (size_t i = 0; i < run; i += INPUTS, to += 8 * s->w_bits) {
                const int8_t *from[OUTPUTS];

                for (int o = 0; o < OUTPUTS; o++)
                    from[o] = first + o < s->oc ? k + (size_t)(first + o) * filter + at + i : NULL;
                pack_block(s, from, run - i < INPUTS ? (int)(run - i) : INPUTS, to);
            }
    }
}

/* ---- convolution ---- */

/* One block's codes, [16][4]. */
static void unpack_block(const struct omq_conv_shape *s, int n_inputs, const uint8_t *packed,
                         int8_t *k)
{
    for (int bit = 0; bit < BLOCK; bit++) {
        int level = 0;

        for (int p = 0; s->w_bits < 8 && p < s->w_bits; p++)
            level |= (int)(packed[8 * p + bit / 8] >> bit % 8 & 1) << p;
        k[bit] = bit % INPUTS >= n_inputs ? 0
               : s->w_bits == 8 ? (int8_t)packed[bit] : (int8_t)code_of(s, level);
    }
}

/* The blocks of 16 outputs. */
static void unpack(const struct omq_conv_shape *s, const uint8_t *packed, int8_t *k)
{
    for (int r = 0; r < s->n_runs; r++)
        for (int i = 0; i < s->run; i += INPUTS, packed += 8 * s->w_bits, k += BLOCK)
            unpack_block(s, s->run - i < INPUTS ? s->run - i : INPUTS, packed, k);
}

static void add_block(const uint8_t *x, int n_inputs, const int8_t *k, int32_t acc[OUTPUTS])
{
    for (int o = 0; o < OUTPUTS; o++)
        for (int i = 0; i < n_inputs; i++)
            acc[o] += x[i] * k[INPUTS * o + i];
}

static void window_sums(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                        const uint8_t *x, const int8_t *k, int32_t acc[OUTPUTS])
{
    for (int r = 0; r < s->n_runs; r++) {
        const uint8_t *run = x + io->run_at[r];

        for (int i = 0; i < s->run; i += INPUTS, k += BLOCK)
            add_block(run + i, s->run - i < INPUTS ? s->run - i : INPUTS, k, acc);
    }
}

/* Outputs first .. first + 15 of every pixel. */
static void conv_16(const struct omq_conv_shape *s, const struct omq_conv_io *io, int first,
                    const int8_t *k)
{
    for (int i = 0; i < io->n; i++)
        for (int oy = 0; oy < io->oh; oy++)
            for (int ox = 0; ox < io->ow; ox++) {
                int32_t acc[OUTPUTS];

                memcpy(acc, io->start + first, sizeof(acc));
                window_sums(s, io, io->x + i * io->x_image + oy * io->x_row + ox * io->x_pixel, k,
                            acc);
                for (int o = first; o < first + OUTPUTS && o < s->oc; o++)
                    conv_put(s, io, i, oy, ox, o, acc[o - first]);
            }
}

void omq_conv_codes_ref(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                        void *scratch)
{
    const size_t packed = blocks_of_16(s) * (size_t)s->w_bits * sizeof(uint64_t);
    const uint8_t *w = io->w;

    for (int first = 0; first < s->oc; first += OUTPUTS, w += packed) {
        unpack(s, w, scratch);
        conv_16(s, io, first, scratch);
    }
}
