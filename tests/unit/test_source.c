/* SPDX-License-Identifier: MIT
 *
 * Containers of weights: what is read, and that what is damaged is refused with a
 * sentence before anything is allocated for it.
 */
#include "model_sample.h"
#include "port/arrays.h"
#include "sourcehelp.h"

Suite *omq_suite_source(void);

#define F32(shape, begin, end) \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

/* ---- safetensors ---- */

START_TEST(safetensors_types)
{
    static const uint8_t data[] = {
        0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0,             /* F32: 1, -2.5 */
        0, 0, 0, 0, 0, 0, 0xe0, 0x3f,                   /* F64: 0.5 */
        0x00, 0x3c, 0x01, 0x00, 0xff, 0xfb, 0x00, 0x84, /* F16: 1, 2^-24, -65504, -2^-14 */
        0x80, 0x3f, 0x49, 0xc0,                         /* BF16: 1, -3.140625 */
        7, 0, 0, 0, 0, 0, 0, 0,
    };
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"a\":" F32("[2]", 0, 8) ","
        "\"b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[8,16]},"
        "\"c\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[16,24]},"
        "\"d\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[24,28]},"
        "\"e\":{\"dtype\":\"F4\",\"shape\":[16],\"data_offsets\":[28,36]},"
        "\"empty\":" F32("[0,3]", 36, 36) "}   ";
    struct omq_source s;
    float none;

    accept_bytes(&s, safetensors(header, data, sizeof(data)));
    ck_assert_int_eq(s.n, 6);
    same_values(&s, "a", (const float[]){1, -2.5f}, 2);
    same_values(&s, "b", (const float[]){0.5f}, 1);
    same_values(&s, "c", (const float[]){1, 0x1p-24f, -65504, -0x1p-14f}, 4);
    same_values(&s, "d", (const float[]){1, -3.140625f}, 2);
    same_values(&s, "empty", NULL, 0);
    ck_assert_ptr_null(find_array(&s, "f"));
    ck_assert_int_eq(omq_source_read(&s, find_array(&s, "e"), &none, &err), OMQ_EUNSUP);
    ck_assert_ptr_nonnull(strstr(err.msg, "'e' in 'w.bin' is of type F4"));
    omq_source_release(&s);
}
END_TEST

static const struct {
    const char *header;
    size_t n_data;
    int code;
    const char *text;
} bad_headers[] = {
    {"{\"a\":" F32("[2]", 0, 8) ",\"b\":" F32("[2]", 4, 12) "}", 12, OMQ_EFORMAT,
     "another array overlaps that of 'b'"},
    {"{\"a\":" F32("[2]", 0, 8) ",\"b\":" F32("[1]", 12, 16) "}", 16, OMQ_EFORMAT,
     "there is a gap before that of 'b'"},
    {"{\"a\":" F32("[2]", 0, 8) "}", 9, OMQ_EFORMAT, "1 bytes follow its arrays"},
    {"{\"a\":" F32("[2]", 0, 8) "}", 7, OMQ_EFORMAT, "the place of 'a'"},
    {"{\"a\":" F32("[2]", 8, 0) "}", 8, OMQ_EFORMAT, "the place of 'a'"},
    {"{\"a\":" F32("[3]", 0, 8) "}", 8, OMQ_EFORMAT, "shape and size do not agree"},
    {"{\"a\":" F32("[4611686018427387904,4]", 0, 0) "}", 0, OMQ_EFORMAT,
     "shape and size do not agree"},
    {"{\"a\":" F32("[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, OMQ_EFORMAT, "the shape of 'a'"},
    {"{\"a\":" F32("[-1]", 0, 4) "}", 4, OMQ_EFORMAT, "the shape of 'a'"},
    {"{\"a\":" F32("[1]", 0, 4) ",\"a\":" F32("[1]", 4, 8) "}", 8, OMQ_EFORMAT, "duplicate"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,2]}}", 1, OMQ_EFORMAT,
     "the place of 'a'"},
    {"{\"a\":[]}", 0, OMQ_EFORMAT, "the type of 'a'"},
    {"{\"\":" F32("[1]", 0, 4) "}", 4, OMQ_EFORMAT, "whose name is empty"},
    {"{\"a\":", 0, OMQ_EFORMAT, "is not JSON"},
};

START_TEST(safetensors_bad)
{
    refuse_bytes(safetensors(bad_headers[_i].header, NULL, bad_headers[_i].n_data),
                 bad_headers[_i].code, bad_headers[_i].text);
}
END_TEST

/* Headers that are longer than the file, or than anyone's patience. */
START_TEST(safetensors_limits)
{
    struct bytes b = {0}, commas = {0};

    put_le(&b, UINT64_MAX, 8);
    put(&b, "{", 1);
    refuse_bytes(b, OMQ_EFORMAT, "longer than the file");
    put(&commas, "{\"a\":[", 6);
    for (int i = 0; i < 1 << 20; i++)
        put(&commas, "0,", 2);
    put(&commas, "0]}", 4);
    refuse_bytes(safetensors((char *)commas.p, NULL, 0), OMQ_EUNSUP, "1048576 are possible");
    free(commas.p);
}
END_TEST

/* ---- npz ---- */

/* A member of a ZIP: its entry goes to dir. */
static void zip_add(struct bytes *zip, struct bytes *dir, const char *name, const void *p, size_t n,
                    bool deflated)
{
    uint8_t packed[1024];
    size_t n_packed = n, offset = zip->n;
    uint32_t crc = (uint32_t)crc32(0, p, (uInt)n);

    if (deflated) {
        z_stream z = {.next_in = (Bytef *)(uintptr_t)p, .avail_in = (uInt)n, .next_out = packed,
                      .avail_out = sizeof(packed)};

        ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
        ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
        n_packed = z.total_out;
        deflateEnd(&z);
    }
    for (int is_dir = 0; is_dir < 2; is_dir++) {
        struct bytes *to = is_dir ? dir : zip;

        put(to, is_dir ? "PK\1\2\24\0\24\0" : "PK\3\4\24\0", is_dir ? 8 : 6);
        put_le(to, 0, 2);
        put_le(to, deflated ? 8 : 0, 2);
        put_le(to, 0, 4);
        put_le(to, crc, 4);
        put_le(to, n_packed, 4);
        put_le(to, n, 4);
        put_le(to, strlen(name), 2);
        put_le(to, 0, 2);
        for (int i = 0; is_dir && i < 10; i++)
            put_le(to, 0, 1);
        if (is_dir)
            put_le(to, offset, 4);
        put(to, name, strlen(name));
    }
    put(zip, deflated ? packed : (const uint8_t *)p, n_packed);
}

static struct bytes zip_end(struct bytes zip, struct bytes dir, int n)
{
    size_t offset = zip.n;

    put(&zip, dir.p, dir.n);
    put(&zip, "PK\5\6\0\0\0\0", 8);
    put_le(&zip, (uint64_t)n, 2);
    put_le(&zip, (uint64_t)n, 2);
    put_le(&zip, dir.n, 4);
    put_le(&zip, offset, 4);
    put_le(&zip, 0, 2);
    free(dir.p);
    return zip;
}

/* An .npy of this text, format 1.0 or 2.0. */
static struct bytes npy(const char *text, int major, const void *values, size_t n)
{
    struct bytes b = {0};

    put(&b, "\x93NUMPY", 6);
    put_le(&b, (uint64_t)major, 1);
    put_le(&b, 0, 1);
    put_le(&b, strlen(text), major == 1 ? 2 : 4);
    put(&b, text, strlen(text));
    put(&b, values, n);
    return b;
}

#define NPY(descr, order, shape) \
    "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }  \n"

static struct bytes npz_of(const char *text, int major, const void *values, size_t n, bool deflated)
{
    struct bytes zip = {0}, dir = {0}, b = npy(text, major, values, n);

    zip_add(&zip, &dir, "a.npy", b.p, b.n, deflated);
    free(b.p);
    return zip_end(zip, dir, 1);
}

START_TEST(npz_reads)
{
    static const float values[] = {1, 2, 3, -4, 5, 6};
    static const double doubles[] = {0.25};
    struct bytes zip = {0}, dir = {0}, b;
    struct omq_source s;

    b = npy(NPY("<f4", "False", "(2, 3)"), 1, values, sizeof(values));
    zip_add(&zip, &dir, "stored.npy", b.p, b.n, false);
    zip_add(&zip, &dir, "deflated.weight.npy", b.p, b.n, true);
    free(b.p);
    b = npy("{\"shape\": (6,), \"fortran_order\": True, \"descr\": \"<f4\"}", 2, values,
            sizeof(values));
    zip_add(&zip, &dir, "two.npy", b.p, b.n, false);
    free(b.p);
    b = npy(NPY("<f8", "False", "()"), 1, doubles, sizeof(doubles));
    zip_add(&zip, &dir, "scalar.npy", b.p, b.n, true);
    free(b.p);
    zip_add(&zip, &dir, "readme.txt", "hello", 5, false);
    accept_bytes(&s, zip_end(zip, dir, 5));
    ck_assert_int_eq(s.n, 4);
    same_values(&s, "stored", values, 6);
    same_values(&s, "deflated.weight", values, 6);
    same_values(&s, "two", values, 6);
    same_values(&s, "scalar", (const float[]){0.25f}, 1);
    ck_assert_int_eq(find_array(&s, "stored")->ndim, 2);
    omq_source_release(&s);
}
END_TEST

/* What no weights are, as names of classes beside them: in nobody's way until it is read. */
START_TEST(npz_others)
{
    static const struct { const char *text, *type; } others[] = {
        {NPY("<U3", "False", "(2,)"), "<U3"},
        {NPY("|O", "False", "(2,)"), "|O"},
        {NPY("<M8[s]", "False", "(2,)"), "<M8[s]"},
        {NPY(">f4", "False", "(2,)"), ">f4"},
        {NPY("<f4", "True", "(2, 1)"), "<f4 in Fortran order"},
    };
    static const uint8_t values[24];
    struct omq_source s;
    float read[2];

    accept_bytes(&s, npz_of(others[_i / 2].text, 1, values, sizeof(values), _i % 2));
    ck_assert(s.list[0].type == OMQ_SOURCE_OTHER && s.list[0].n == 2);
    ck_assert_int_eq(omq_source_read(&s, &s.list[0], read, &err), OMQ_EUNSUP);
    ck_assert_ptr_nonnull(strstr(err.msg, others[_i / 2].type));
    omq_source_release(&s);
}
END_TEST

/* Signs of the record at the end in the comment behind it; sizes that stand elsewhere. */
START_TEST(npz_ends)
{
    static const float values[6] = {1, 2, 3};
    struct bytes b = npz_of(NPY("<f4", "False", "(6,)"), 1, values, sizeof(values), false);
    struct omq_source s;

    b.p = realloc(b.p, b.n + 30);
    ck_assert_ptr_nonnull(b.p);
    memset(b.p + b.n, 'x', 30);
    memcpy(b.p + b.n + 2, "PK\5\6", 4);
    b.p[b.n - 2] = 30;
    b.n += 30;
    accept_bytes(&s, b);
    same_values(&s, "a", values, 6);
    omq_source_release(&s);
    b = npz_of(NPY("<f4", "False", "(6,)"), 1, values, sizeof(values), false);
    memset(b.p + b.n - 22 - 5 - 46 + 20, 0xff, 8); /* both sizes */
    refuse_bytes(b, OMQ_EUNSUP, "of the kind for more than 4 GiB");
}
END_TEST

static const struct {
    const char *text;
    int code;
    const char *message;
} bad_texts[] = {
    {NPY("<f4", "False", "(7,)"), OMQ_EFORMAT, "shape and size of 'a' do not agree"},
    {NPY("<f4", "False", "(99999999999999999999,)"), OMQ_EFORMAT, "not one of NumPy's"},
    {NPY("<f4", "False", "(4611686018427387904, 4)"), OMQ_EFORMAT, "do not agree"},
    {NPY("<f4", "Maybe", "(3, 2)"), OMQ_EFORMAT, "not one of NumPy's"},
    {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (6,)}", OMQ_EFORMAT,
     "no plain numbers"},
    {"{'descr': '<f4', 'descr': '<f4', 'shape': (6,)}", OMQ_EFORMAT, "not one of NumPy's"},
    {"{'descr': '<f4', 'shape': (6,)}", OMQ_EFORMAT, "not one of NumPy's"},
    {"", OMQ_EFORMAT, "not one of NumPy's"},
};

START_TEST(npz_bad_text)
{
    static const float values[6];

    for (int deflated = 0; deflated < 2; deflated++)
        refuse_bytes(npz_of(bad_texts[_i].text, 1, values, sizeof(values), deflated),
                     bad_texts[_i].code, bad_texts[_i].message);
}
END_TEST

START_TEST(npz_damaged)
{
    static const float values[6] = {1, 2, 3};
    const char *text = NPY("<f4", "False", "(6,)");
    struct bytes b = npz_of(text, 1, values, sizeof(values), false), zip = {0}, dir = {0};
    struct omq_source s;
    float read[6];

    b.p[60] ^= 1;
    refuse_bytes(b, OMQ_EFORMAT, "checksum of 'a'");
    b = npz_of(text, 1, values, sizeof(values), false);
    b.n -= 30;
    refuse_bytes(b, OMQ_EFORMAT, "cut short");
    b = npz_of(text, 1, values, sizeof(values), false);
    memset(b.p + b.n - 6, 0xff, 4); /* the directory's place */
    refuse_bytes(b, OMQ_EUNSUP, "for more than 4 GiB");
    b = npz_of(text, 1, values, sizeof(values), true);
    b.p[b.n - 22 - 5 - 46 + 16] ^= 1; /* checksum in the directory: found when it is read */
    accept_bytes(&s, b);
    ck_assert_int_eq(omq_source_read(&s, &s.list[0], read, &err), OMQ_EFORMAT);
    omq_source_release(&s);
    zip_add(&zip, &dir, "archive/data.pkl", "x", 1, false);
    refuse_bytes(zip_end(zip, dir, 1), OMQ_EUNSUP, "pickle of PyTorch");
    zip = dir = (struct bytes){0};
    b = npy(text, 1, values, sizeof(values));
    zip_add(&zip, &dir, "a.npy", b.p, b.n, false);
    zip_add(&zip, &dir, "a.npy", b.p, b.n, false);
    free(b.p);
    refuse_bytes(zip_end(zip, dir, 2), OMQ_EFORMAT, "two arrays called 'a'");
}
END_TEST

/* A directory may name the same bytes again and again, and each would be summed. */
START_TEST(npz_overlaps)
{
    static const float values[256];
    struct bytes b = npy(NPY("<f4", "False", "(256,)"), 1, values, sizeof(values));
    struct bytes zip = {0}, dir = {0};

    zip_add(&zip, &dir, "a.npy", b.p, b.n, false);
    for (char name[] = "b.npy"; name[0] <= 'd'; name[0]++) {
        struct bytes other = {0};

        zip_add(&other, &dir, name, b.p, b.n, false); /* which begins where a.npy does */
        free(other.p);
    }
    free(b.p);
    refuse_bytes(zip_end(zip, dir, 4), OMQ_EFORMAT, "its arrays overlap");
}
END_TEST

/* A member that promises more than it packs, or much more than it is: nothing is
 * allocated before someone wants it. */
START_TEST(npz_bomb)
{
    static const float values[6];
    struct bytes b = npz_of(NPY("<f4", "False", "(1000000000,)"), 1, values, sizeof(values), true);
    const size_t n_text = strlen(NPY("<f4", "False", "(1000000000,)"));
    size_t at = b.n - 22 - 5 - 46 + 24;
    const struct omq_source_array *a;
    struct omq_source s;

    omq_put_le32(b.p + at, (uint32_t)(10 + n_text + 4000000000u));
    accept_bytes(&s, b);
    a = find_array(&s, "a");
    ck_assert_uint_eq(a->n, 1000000000);
    omq_source_release(&s);
}
END_TEST

/* ---- the rest ---- */

START_TEST(other_files)
{
    struct bytes b = {0};

    refuse_bytes(b, OMQ_EUNSUP, "is no safetensors, npz or .omq file");
    put(&b, "\x80\x02}q", 4);
    refuse_bytes(b, OMQ_EUNSUP, "pickle of PyTorch");
}
END_TEST

/* What the exporter writes is read back. */
START_TEST(round_trip)
{
    struct omq_source s, of_model;
    struct omq_model_info info;
    struct omq_net net;

    model_setup();
    ck_assert_int_eq(model_get(model_good, model_size, &net, &info, &err), 0);
    for (int safe = 0; safe < 2; safe++) {
        const struct omq_export_options opt = {0};
        struct omq_export_numbers *n;
        const struct omq_export_job job = {.opt = &opt, .name = "x", .n = 1, .choices = &n};
        FILE *f = fopen(model_path, "wb");
        float a[64], b[64];

        ck_assert_int_eq(omq_export_numbers_open(&n, &net, &info, 0, &err), OMQ_OK);
        ck_assert_int_eq((safe ? omq_export_safetensors : omq_export_npz)(
                             &job, (FILE *const[2]){f, NULL}, &err), OMQ_OK);
        fclose(f);
        omq_export_numbers_close(n);
        ck_assert_msg(omq_source_open(&s, model_path, &err) == OMQ_OK, "%s", err.msg);
        model_write(&net, &info, model_path);
        ck_assert_msg(omq_source_open(&of_model, model_path, &err) == OMQ_OK, "%s", err.msg);
        ck_assert_int_eq(omq_source_read(&s, find_array(&s, "c.bias"), a, &err), OMQ_OK);
        ck_assert_int_eq(omq_source_read(&of_model, find_array(&of_model, "c.bias"), b, &err),
                         OMQ_OK);
        ck_assert_mem_eq(a, b, sizeof(float) * find_array(&s, "c.bias")->n);
        /* of the best precision, which is the float one */
        ck_assert_int_eq(omq_source_read(&of_model, find_array(&of_model, "a_bn.weight"), a,
                                         &err), OMQ_OK);
        ck_assert(a[1] == (float)omq_net_layer(&net, 3, 0)->gamma->value[1]);
        omq_source_release(&s);
        omq_source_release(&of_model);
    }
    model_release(&net, &info);
    model_teardown();
}
END_TEST

Suite *omq_suite_source(void)
{
    Suite *s = suite_create("source");
    TCase *c = tcase_create("source");

    tcase_add_test(c, safetensors_types);
    tcase_add_loop_test(c, safetensors_bad, 0, (int)(sizeof(bad_headers) / sizeof(*bad_headers)));
    tcase_add_test(c, safetensors_limits);
    tcase_add_test(c, npz_reads);
    tcase_add_loop_test(c, npz_others, 0, 10);
    tcase_add_test(c, npz_ends);
    tcase_add_loop_test(c, npz_bad_text, 0, (int)(sizeof(bad_texts) / sizeof(*bad_texts)));
    tcase_add_test(c, npz_damaged);
    tcase_add_test(c, npz_overlaps);
    tcase_add_test(c, npz_bomb);
    tcase_add_test(c, other_files);
    tcase_add_test(c, round_trip);
    suite_add_tcase(s, c);
    return s;
}
