/* SPDX-License-Identifier: MIT
 *
 * Every kernel above the reference, compared with it: same bits from random
 * inputs that favour extremes, odd sizes, unaligned arrays and canaries around
 * outputs. gemm has an error bound instead, and must be exact where every
 * partial sum is an integer.
 *
 *   checkkern [--seed N] [NAME]    kernels whose name contains NAME
 *   checkkern --bench [NAME]       TSV: op shape isa ns rate unit x-ref of-peak
 *
 * OMQ_CPU, one of the words of OMQ_ISA_NAMES, limits the instruction sets.
 */
#define _POSIX_C_SOURCE 200809L
#include "checkkern.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REAL_EPS (sizeof(omq_real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON)

/* ---- comparison */

/* |difference| <= 2 (k + 2) eps (sum |a||b| + |c|): each side is within half
 * of it of the exact value, in any order of summation. */
static const char *compare_gemm(const struct job *j, const omq_real *want, const omq_real *got)
{
    const omq_real *a = REALS(j->x), *b = REALS(j->y), *c = REALS(j->init[0]);

    for (int i = 0; i < j->m; i++) {
        for (int o = 0; o < j->ldc; o++) {
            int at = i * j->ldc + o;
            double sum = j->beta == 0 || o >= j->n ? 0 : fabs((double)c[at]);

            if (o >= j->n) {
                if (memcmp(&want[at], &got[at], sizeof(*want)) != 0)
                    return "wrote between the rows of c";
                continue;
            }
            for (int p = 0; p < j->k; p++)
                sum += fabs((double)a[j->ta ? p * j->lda + i : i * j->lda + p] *
                            (double)b[j->tb ? o * j->ldb + p : p * j->ldb + o]);
            if (!(fabs((double)want[at] - (double)got[at]) <= 2 * (j->k + 2) * REAL_EPS * sum))
                return "error above the bound";
        }
    }
    return NULL;
}

static const char *compare(const struct op *op, const struct job *j, const struct buf want[2])
{
    for (int i = 0; i < 2; i++)
        if (!buf_intact(&j->out[i]))
            return "wrote outside its output";
    if (j->scratch.p && !buf_intact(&j->scratch))
        return "wrote outside its scratch";
    if (op->shape == GEMM && !j->whole)
        return compare_gemm(j, (const omq_real *)(const void *)want[0].p, REALS(j->out[0]));
    for (int i = 0; i < 2; i++)
        if (memcmp(want[i].p, j->out[i].p, want[i].size) != 0)
            return i == 0 ? "first output differs" : "second output differs";
    return NULL;
}

enum { CASES = 400 };

static bool check(const struct op *op, const char *name, const struct omq_kern *ref,
                  const struct omq_kern *trial, uint32_t seed)
{
    const int cases = op->shape == WINDOW || op->shape == POOL || op->shape == DWCONV
                          ? WINDOW_CASES
                      : op->shape == CONV || IS_CODES(op) ? 2 * CASES
                                                          : CASES;
    int n_run = 0;

    for (int i = 0; i < cases; i++) {
        struct omq_rng r;
        struct job j;
        struct buf want[2];
        uint64_t inputs;
        const char *why;
        char shape[128];

        omq_rng_init(&r, seed, OMQ_STREAM_TEST, op_index(op), (uint32_t)i);
        if (!job_make(&j, op, &r, i))
            continue;
        n_run++;
        inputs = job_inputs(&j);
        job_run(&j, op, ref);
        for (int o = 0; o < 2; o++) {
            want[o] = buf_make(&r, j.out[o].size / 8 + 1, 8);
            want[o].size = j.out[o].size;
            memcpy(want[o].p, j.out[o].p, j.out[o].size);
        }
        job_run(&j, op, trial);
        why = job_inputs(&j) != inputs ? "changed its inputs" : compare(op, &j, want);
        if (why) {
            job_shape(&j, op, shape, sizeof(shape));
            printf("FAIL %s: %s: %s, q_max %d, zero point %d, case %d, --seed %" PRIu32 "\n", name,
                   why, shape, j.q_max, j.zero_point, i, seed);
        }
        for (int o = 0; o < 2; o++)
            buf_free(&want[o]);
        job_free(&j);
        if (why)
            return false;
    }
    printf("ok   %s: %d cases\n", name, n_run);
    return true;
}

/* ---- bench */

static const char *const level_names[] = {
    "ref", "blas", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512vpopcntdq",
    "amx", "neon", "dotprod",
};

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Least time of one call, over about 30 ms of calls (100, of large layers). */
static double time_job(struct job *j, const struct op *op, const struct omq_kern *k)
{
    double best = 1e30, start = now_ns();
    int calls = 1;

    op->run(k, j);
    do {
        double t = now_ns();

        for (int i = 0; i < calls; i++)
            op->run(k, j);
        t = now_ns() - t;
        if (t / calls < best)
            best = t / calls;
        if (t < 2e4)
            calls *= 2;
    } while (now_ns() - start < (IS_CODES(op) ? 1e8 : 3e7));
    return best;
}

/* Convolutions to time, of LeNet-5, ResNet-20 and ResNet-18: side, channels, outputs,
 * stride, kernel. */
static const int bench_convs[][5] = {
    {28, 1, 20, 1, 5}, {32, 3, 16, 1, 3}, {224, 3, 64, 2, 7},
    {32, 16, 16, 1, 3}, {32, 16, 32, 2, 3}, {16, 32, 32, 1, 3}, {8, 64, 64, 1, 3},
    {56, 64, 64, 1, 3}, {56, 64, 128, 2, 3}, {56, 64, 128, 2, 1}, {28, 128, 128, 1, 3},
    {14, 256, 256, 1, 3}, {7, 512, 512, 1, 3},
};
enum { BENCH_SHAPES = 4, BENCH_CONVS = sizeof(bench_convs) / sizeof(bench_convs[0]) };

/* The i-th shape to time: else layers of resnet8 and lenet5, images of 28 x 28. */
static void bench_job(struct job *j, const struct op *op, struct omq_rng *r, int i)
{
    static const int layers[][3] = {{28, 16, 3}, {14, 32, 3}, {7, 64, 3}, {24, 20, 5}};
    static const int gemms[][3] = {{784, 16, 144}, {196, 32, 288}, {49, 64, 576}, {128, 10, 500}};
    const int at = i % BENCH_SHAPES;
    const int side = layers[at][0], c = layers[at][1], k = layers[at][2];

    *j = (struct job){.n = side * side, .c = c, .q_max = 15, .in_place = false,
                      .ta = op->shape == ROWS, .k = INT16_MAX,
                      .r = {.q_max = 15, .ratio = (omq_real)0.1}};
    if (op->shape == GEMM) {
        j->m = gemms[at][0], j->n = gemms[at][1], j->k = gemms[at][2];
        j->tb = true, j->lda = j->ldb = j->k, j->ldc = j->n;
    }
    j->g = (struct omq_window){
        .h = side, .w = side, .c = c, .c_count = c, .kh = k, .kw = k, .sh = 1, .sw = 1,
        .ph = k / 2, .pw = k / 2, .oh = side, .ow = side,
    };
    if (op->shape == POOL)
        j->g = (struct omq_window){.h = side, .w = side, .c = c, .c_count = c, .kh = 2, .kw = 2,
                                   .sh = 2, .sw = 2, .oh = side / 2, .ow = side / 2};
    if (op->shape == CONV) {
        const int *of = bench_convs[i];
        const int h = of[0], c = of[1], s = of[3], k = of[4];

        j->oc = of[2];
        j->g = (struct omq_window){
            .h = h, .w = h, .c = c, .c_count = c, .kh = k, .kw = k, .sh = s, .sw = s,
            .ph = k / 2, .pw = k / 2, .oh = (h - 1) / s + 1, .ow = (h - 1) / s + 1,
        };
        j->images = omq_conv_images(&j->g, j->oc) < 8 ? omq_conv_images(&j->g, j->oc) : 8;
    }
    job_fill(j, op, r);
    /* Plain values: repeated calls in place must not end in infinities. */
    for (size_t e = 0; e < j->x.size / sizeof(omq_real); e++)
        REALS(j->x)[e] = (omq_real)(omq_rng_uniform(r) * 20 - 2);
    for (size_t e = 0; e < j->y.size / sizeof(omq_real); e++)
        REALS(j->y)[e] = (omq_real)(omq_rng_uniform(r) - 0.5);
    for (int o = 0; o < 4; o++)
        for (int e = 0; e < j->c; e++)
            REALS(j->ch[o])[e] = 1;
}

/* Operations or bytes of one call. */
static double bench_work(const struct op *op, const struct job *j)
{
    if (IS_CODES(op))
        return op->traffic ? (double)j->q2.size : codes_macs(j);
    if (op->shape == CONV)
        return (double)conv_outputs(j) * j->g.kh * j->g.kw * j->g.c;
    if (op->shape == DWCONV)
        return (double)j->g.oh * j->g.ow * j->g.kh * j->g.kw * j->g.c;
    if (op->traffic == 0)
        return (double)j->m * j->n * j->k;
    return (double)(op->shape == WINDOW ? window_taps(&j->g) : COUNT(j)) * (double)op->traffic;
}

/* Products and sums in a nanosecond that the unit of a level's kernel can do,
 * operands in registers; 0 if that is not known. */
static double peak_rate(enum omq_kern_level level, const struct op *op, const struct job *j)
{
    double (*peak)(int rounds) = NULL, best = 0, bits = 1;

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
    peak = level == OMQ_LEVEL_AVX2 ? peak_avx2
         : level == OMQ_LEVEL_AVX512VNNI ? peak_avx512vnni
         : level == OMQ_LEVEL_AVX512VPOPCNTDQ ? peak_avx512vpopcntdq : NULL;
#ifndef OMQ_OLD_SIMD
    if (level == OMQ_LEVEL_AVXVNNI)
        peak = peak_avxvnni;
    if (level == OMQ_LEVEL_AMX)
        peak = peak_amx;
#endif
    if (op->shape == BITS && level == OMQ_LEVEL_AVX2)
        peak = peak_bits_avx2;
#else
    (void)level;
#endif
    if (op->shape == BITS)
        bits = j->cs.w_bits * (j->cs.x_max == 1 ? 1 : 2);
    for (double start = now_ns(), t = start; peak && t < start + 3e7;) {
        double macs = peak(5000), end = now_ns();

        best = macs / (end - t) > best ? macs / (end - t) : best;
        t = end;
    }
    return best / bits;
}

/* 0: not known. */
static void put_ratio(double ratio, char end)
{
    if (ratio > 0)
        printf("%.2f%c", ratio, end);
    else
        printf("-%c", end);
}

/* Layers are too large to wait for the reference; the peak of the engine's is
 * measured beside each. */
static void bench_row(const struct op *op, const struct omq_kern *ref,
                      const struct omq_kern *trial, enum omq_kern_level level, struct job *j)
{
    const bool codes = IS_CODES(op);
    const bool macs = op->traffic == 0;
    const bool large = op->shape == CONV || (codes && macs);
    const double t_ref = large && trial != ref ? 0 : time_job(j, op, ref);
    const double before = codes && macs ? peak_rate(level, op, j) : 0;
    const double t = trial == ref ? t_ref : time_job(j, op, trial), rate = bench_work(op, j) / t;
    const double after = codes && macs ? peak_rate(level, op, j) : 0;
    const double peak = before > after ? before : after;
    char shape[128];

    job_shape(j, op, shape, sizeof(shape));
    printf("%s\t%s\t%s\t%.0f\t%.2f\t%s\t", op->slot, shape, level_names[level], t, rate,
           macs ? "GMAC/s" : "GB/s");
    put_ratio(t_ref / t, '\t');
    put_ratio(peak > 0 ? rate / peak : 0, '\n');
}

static void bench(const struct op *op, const struct omq_kern *ref, const struct omq_kern *trial,
                  enum omq_kern_level level)
{
    const bool codes = IS_CODES(op);
    const int shapes = codes ? codes_bench_count(op)
                     : op->shape == CONV ? BENCH_CONVS : BENCH_SHAPES;

    for (int i = 0; i < shapes && !(codes && trial == ref); i++) {
        struct omq_rng r;
        struct job j;

        omq_rng_init(&r, 1, OMQ_STREAM_TEST, 0, 0);
        if (codes && !codes_bench(&j, op, &r, i))
            continue;
        if (op->out[0] == X_REAL && bench_convs[i][1] < 16)
            continue;
        if (!codes)
            bench_job(&j, op, &r, i);
        job_run(&j, op, trial);
        bench_row(op, ref, trial, level, &j);
        job_free(&j);
    }
}

/* ---- the program */

/* Checks a kernel of AMX by its emulation. */
#define EMULATED(op, seed)                                                              \
    if (strstr("omq_" #op "_amx, emulated", name)) {                                    \
        trial = ref;                                                                    \
        trial.op = op##_emulated;                                                       \
        if (check(op_find(#op), "omq_" #op "_amx, emulated", &ref, &trial, (seed)))      \
            passed++;                                                                   \
        else                                                                            \
            failed++;                                                                   \
    }

int main(int argc, char **argv)
{
    enum omq_isa max_isa = OMQ_ISA_COUNT - 1;
    const char *cpu = getenv("OMQ_CPU"), *dropped, *name = "";
    struct omq_kern ref, trial;
    bool timing = false;
    unsigned long seed = 1;
    int passed = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            timing = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoul(argv[++i], NULL, 10);
        else if (argv[i][0] != '-')
            name = argv[i];
        else {
            fprintf(stderr, "usage: checkkern [--bench] [--seed N] [NAME]\n");
            return 2;
        }
    }
    if (cpu && !omq_isa_parse(cpu, &max_isa)) {
        fprintf(stderr, "checkkern: OMQ_CPU is '%s', not " OMQ_ISA_NAMES "\n", cpu);
        return 2;
    }
    omq_kern_init(max_isa, &dropped);
    omq_kern_fill_ref(&ref);
    if (dropped)
        printf("FAIL omq_kern_init: dropped %s\n", dropped);
    failed += dropped != NULL;
    passed += dropped == NULL;
    if (timing)
        printf("op\tshape\tisa\tns\trate\tunit\tx-ref\tof-peak\n");
#define OMQ_KERNEL(slot, function, level) \
    if (omq_kern_allows(OMQ_LEVEL_##level, max_isa) && strstr(#function, name)) { \
        trial = ref; \
        trial.slot = function; \
        if (timing) \
            bench(op_find(#slot), &ref, OMQ_LEVEL_##level == OMQ_LEVEL_REF ? &ref : &trial, \
                  OMQ_LEVEL_##level); \
        else if (OMQ_LEVEL_##level != OMQ_LEVEL_REF) { \
            bool ok = check(op_find(#slot), #function, &ref, &trial, (uint32_t)seed); \
            passed += ok; \
            failed += !ok; \
        } \
    }
#include "kern/kernels.def"
#undef OMQ_KERNEL
#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
    if (!timing && omq_kern_allows(OMQ_LEVEL_AVX2, max_isa)) {
        EMULATED(conv_codes, (uint32_t)seed)
    }
    if (!timing && omq_kern_allows(OMQ_LEVEL_AVX512, max_isa)) {
        EMULATED(conv_dinput_s16, (uint32_t)seed)
        EMULATED(conv_dweight_s16, (uint32_t)seed)
    }
#endif
    if (!timing)
        printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
