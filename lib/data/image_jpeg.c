/* SPDX-License-Identifier: MIT
 *
 * JPEG by libjpeg, with its defaults for the arithmetic (accurate integer DCT,
 * smooth upsampling), which are Pillow's too. Three components become RGB; four
 * are taken for Adobe's inverted CMYK, as Pillow does.
 *
 * libjpeg reports errors by a call that must not return: on_error() longjmps to
 * run(). All that is allocated after the setjmp hangs on struct jpeg, which
 * belongs to the caller of run(), so nothing is lost by the jump.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

#include "data/data_internal.h"

enum {
    MAX_SCANS = 100, /* a progressive file has about 10; each can cost a pass over the image */
    /* Pixels that a byte can stand for: a block of 64 has a code of at least one
     * bit in the first scan; where components are sampled differently, 4 times. */
    MAX_PIXELS_PER_BYTE = 8 * 64 * 4,
};

struct jpeg {
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr mgr;
    struct jpeg_progress_mgr progress;
    jmp_buf fail;
    int rc;                /* of what was reported before the jump */
    bool started;          /* past the header */
    struct omq_image im;
    const char *name;
    struct omq_err *err;
};

static _Noreturn void leave(struct jpeg *j, int rc)
{
    j->rc = rc;
    longjmp(j->fail, 1);
}

/* "in its header", "in scan 3", "at row 12 of 375" */
static const char *place(struct jpeg *j, char buf[64])
{
    struct jpeg_decompress_struct *d = &j->d;

    if (!j->started)
        snprintf(buf, 64, "in its header");
    else if (d->output_scanline == 0 && jpeg_has_multiple_scans(d)) /* all are read before row 0 */
        snprintf(buf, 64, "in scan %d", d->input_scan_number);
    else
        snprintf(buf, 64, "at row %u of %u", d->output_scanline, d->image_height);
    return buf;
}

static int error_code(int msg_code)
{
    switch (msg_code) {
    case JERR_OUT_OF_MEMORY:
        return OMQ_ENOMEM;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_IMAGE_TOO_BIG:
    case JERR_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
    case JERR_WIDTH_OVERFLOW:
        return OMQ_EUNSUP;
    default:
        return OMQ_EFORMAT;
    }
}

static void on_error(j_common_ptr c)
{
    struct jpeg *j = c->client_data;
    int code = error_code(c->err->msg_code);
    char text[JMSG_LENGTH_MAX], where[64];

    c->err->format_message(c, text);
    text[0] = (char)tolower((unsigned char)text[0]);
    if (code == OMQ_ENOMEM)
        omq_fail(j->err, code, "cannot allocate what decoding '%s' needs", j->name);
    else if (code == OMQ_EUNSUP)
        omq_fail(j->err, code, "'%s' is a JPEG picture that cannot be read: %s", j->name, text);
    else
        omq_fail(j->err, code, "'%s' is damaged %s: %s", j->name, place(j, where), text);
    leave(j, code);
}

/* Most of libjpeg's warnings mean that pixels were made up. Not these: oddities
 * of headers, and bytes between the last pixel and the end marker (0xd9), which
 * some cameras leave there. */
static bool is_harmless(const struct jpeg_error_mgr *e)
{
    return e->msg_code == JWRN_ADOBE_XFORM || e->msg_code == JWRN_JFIF_MAJOR ||
           (e->msg_code == JWRN_EXTRANEOUS_DATA && e->msg_parm.i[1] == 0xd9);
}

static void on_message(j_common_ptr c, int level)
{
    if (level < 0 && !is_harmless(c->err))
        on_error(c);
}

static void no_output(j_common_ptr c) { (void)c; }

static void on_progress(j_common_ptr c)
{
    struct jpeg *j = c->client_data;

    if (j->d.input_scan_number > MAX_SCANS)
        leave(j, omq_fail(j->err, OMQ_EUNSUP, "'%s' has more than %d scans", j->name, MAX_SCANS));
}

/* What the header says: the size, and into what the samples are to be turned. */
static int check_header(struct jpeg *j, size_t n_bytes)
{
    struct jpeg_decompress_struct *d = &j->d;
    uint64_t pixels = (uint64_t)d->image_width * d->image_height;
    int rc = omq_image_check_size(d->image_height, d->image_width, j->name, j->err);

    if (rc < 0)
        return rc;
    if (d->num_components != 1 && d->num_components != 3 && d->num_components != 4)
        return omq_fail(j->err, OMQ_EUNSUP, "'%s' has %d components: only JPEG pictures of 1, 3 "
                        "or 4 can be read", j->name, d->num_components);
    if (!d->arith_code && pixels / MAX_PIXELS_PER_BYTE > n_bytes)
        return omq_fail(j->err, OMQ_EFORMAT, "'%s' claims %u x %u pixels, more than %zu bytes of "
                        "JPEG data can hold", j->name, d->image_width, d->image_height, n_bytes);
    d->out_color_space = d->num_components == 1   ? JCS_GRAYSCALE
                         : d->num_components == 3 ? JCS_RGB
                                                  : JCS_CMYK;
    return OMQ_OK;
}

/* a * b / 255, rounded as in Pillow */
static unsigned mul255(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;

    return ((t >> 8) + t) >> 8;
}

static void put_row(uint8_t *dst, const uint8_t *row, int width, int channels, int components)
{
    for (int x = 0; x < width; x++, dst += channels, row += components) {
        if (components == 1) {
            omq_image_put(dst, channels, row[0], row[0], row[0]);
        } else if (components == 3) {
            omq_image_put(dst, channels, row[0], row[1], row[2]);
        } else { /* stored inverted: 255 is no ink */
            unsigned k = row[3];

            omq_image_put(dst, channels, k - mul255(255u - row[0], k),
                          k - mul255(255u - row[1], k), k - mul255(255u - row[2], k));
        }
    }
}

static int run(struct jpeg *j, const uint8_t *bytes, size_t n_bytes, int channels)
{
    struct jpeg_decompress_struct *d = &j->d;
    JSAMPARRAY row;
    int rc;

    if (setjmp(j->fail))
        return j->rc;
    jpeg_create_decompress(d);
    d->progress = &j->progress;
    jpeg_mem_src(d, bytes, n_bytes);
    (void)jpeg_read_header(d, TRUE);
    if ((rc = check_header(j, n_bytes)) < 0 ||
        (rc = omq_image_alloc(&j->im, (int)d->image_height, (int)d->image_width, channels,
                              j->err)) < 0)
        return rc;
    j->started = true;
    (void)jpeg_start_decompress(d);
    /* belongs to d */
    row = d->mem->alloc_sarray((j_common_ptr)d, JPOOL_IMAGE,
                               d->output_width * (JDIMENSION)d->output_components, 1);
    while (d->output_scanline < d->output_height) {
        uint8_t *dst = j->im.pixels +
                       (size_t)d->output_scanline * d->output_width * (size_t)channels;

        (void)jpeg_read_scanlines(d, row, 1);
        put_row(dst, row[0], j->im.width, channels, d->output_components);
    }
    (void)jpeg_finish_decompress(d); /* reads on to the end marker */
    return OMQ_OK;
}

static int decode_jpeg(struct omq_image *out, const uint8_t *bytes, size_t n_bytes, int channels,
                       const char *name, struct omq_err *err)
{
    struct jpeg j = {.name = name, .err = err};
    int rc;

    j.d.err = jpeg_std_error(&j.mgr);
    j.d.client_data = &j;
    j.mgr.error_exit = on_error;
    j.mgr.emit_message = on_message;
    j.mgr.output_message = no_output;
    j.progress.progress_monitor = on_progress;
    rc = run(&j, bytes, n_bytes, channels);
    jpeg_destroy_decompress(&j.d);
    if (rc < 0)
        omq_image_release(&j.im);
    else
        *out = j.im;
    return rc;
}

const struct omq_image_format omq_image_jpeg = {{0xff, 0xd8, 0xff}, 3, decode_jpeg};
