/* SPDX-License-Identifier: MIT
 *
 * Sixteen floats: one AVX-512 register, or two of AVX2, so that a kernel is
 * written once for both. `lanes` says how many of them count: 16, which is a
 * constant wherever it stands, or fewer, the rest being 0 and never stored.
 *
 * Kernels over rows take 16 channels at a time down all rows: their sums then
 * stay in registers, each still a channel apart and in the order of the rows.
 */
#ifndef OMQ_KERN_X86_VEC_TEMPLATE_H
#define OMQ_KERN_X86_VEC_TEMPLATE_H

#include <immintrin.h>
#include <string.h>

#include "kern/kern.h"
#include "kern/ref/template.h"

enum { VEC = 16 };

/* Runs call for channels j to j + lanes - 1 of c. */
#define FOR_VECS(c, call)                        \
    do {                                         \
        int j = 0;                               \
                                                 \
        for (; j + VEC <= (c); j += VEC) {       \
            enum { lanes = VEC };                \
            call;                                \
        }                                        \
        if (j < (c)) {                           \
            const int lanes = (int)(c)-j;        \
            call;                                \
        }                                        \
    } while (0)

#define VEC_FN static inline __attribute__((always_inline))

/* Asks for what is 3 KiB on, wherever that is: the processor's own prefetching
 * ends with the page, and these passes read from beyond L2. */
VEC_FN void vec_ahead(const float *p)
{
    _mm_prefetch((const char *)((uintptr_t)p + 3072), _MM_HINT_T0);
}

#ifdef __AVX512F__

typedef __m512 vec;

VEC_FN __mmask16 vec_mask(int lanes) { return (__mmask16)((1u << lanes) - 1); }
VEC_FN vec vec_set(float x) { return _mm512_set1_ps(x); }
VEC_FN vec vec_load(int lanes, const float *p)
{
    return lanes == VEC ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(vec_mask(lanes), p);
}
VEC_FN void vec_store(int lanes, float *p, vec x)
{
    if (lanes == VEC)
        _mm512_storeu_ps(p, x);
    else
        _mm512_mask_storeu_ps(p, vec_mask(lanes), x);
}
/* Codes minus a zero point. */
VEC_FN vec vec_codes(int lanes, const uint8_t *q, int zero_point)
{
    __m128i b = lanes == VEC ? _mm_loadu_si128((const __m128i *)(const void *)q)
                             : _mm_maskz_loadu_epi8(vec_mask(lanes), q);

    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(b),
                                               _mm512_set1_epi32(zero_point)));
}
/* Whole numbers of 0 to 255, to codes. */
VEC_FN void vec_store_codes(int lanes, uint8_t *q, vec x)
{
    _mm512_mask_cvtepi32_storeu_epi8(q, vec_mask(lanes), _mm512_cvttps_epi32(x));
}
VEC_FN vec vec_add(vec a, vec b) { return _mm512_add_ps(a, b); }
VEC_FN vec vec_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
VEC_FN vec vec_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
VEC_FN vec vec_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
VEC_FN vec vec_rint(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a > b ? a : b and a < b ? a : b: b where one is a NaN. */
VEC_FN vec vec_max(vec a, vec b) { return _mm512_max_ps(a, b); }
VEC_FN vec vec_min(vec a, vec b) { return _mm512_min_ps(a, b); }
/* a == b ? x : y */
VEC_FN vec vec_if_equal(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), y, x);
}

/* The same in double. */
typedef struct {
    __m512d part[2];
} vecd;

VEC_FN vecd vecd_from(vec a)
{
    return (vecd){{_mm512_cvtps_pd(_mm512_castps512_ps256(a)),
                   _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))}};
}
VEC_FN void vecd_store_all(double *p, vecd x)
{
    _mm512_storeu_pd(p, x.part[0]);
    _mm512_storeu_pd(p + 8, x.part[1]);
}
#define VECD_OP(op) _mm512_##op##_pd

#else

typedef struct {
    __m256 lo, hi;
} vec;

VEC_FN __m256i vec_mask(int lanes)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VEC_FN vec vec_set(float x) { return (vec){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
VEC_FN vec vec_load(int lanes, const float *p)
{
    if (lanes == VEC)
        return (vec){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
    return (vec){_mm256_maskload_ps(p, vec_mask(lanes)),
                 lanes > 8 ? _mm256_maskload_ps(p + 8, vec_mask(lanes - 8)) : _mm256_setzero_ps()};
}
VEC_FN void vec_store(int lanes, float *p, vec x)
{
    __m128 last;

    if (lanes == VEC) {
        _mm256_storeu_ps(p, x.lo);
        _mm256_storeu_ps(p + 8, x.hi);
        return;
    }
    /* of 8, 4, 2 and 1: a masked store takes Zen 3 a dozen cycles */
    if (lanes & 8) {
        _mm256_storeu_ps(p, x.lo);
        p += 8;
        x.lo = x.hi;
    }
    last = _mm256_castps256_ps128(x.lo);
    if (lanes & 4) {
        _mm_storeu_ps(p, last);
        p += 4;
        last = _mm256_extractf128_ps(x.lo, 1);
    }
    if (lanes & 2) {
        _mm_storel_pi((void *)p, last);
        p += 2;
        last = _mm_movehl_ps(last, last);
    }
    if (lanes & 1)
        _mm_store_ss(p, last);
}
VEC_FN __m256 vec_from_s32(__m256i x, int zero_point)
{
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(x, _mm256_set1_epi32(zero_point)));
}
/* n < 8 bytes; a memcpy() of n would be a call, and stall what loads it. */
VEC_FN uint64_t vec_few_bytes(int n, const uint8_t *q)
{
    uint64_t x = 0;
    uint32_t four;
    uint16_t two;

    if (n & 1)
        x = q[n - 1];
    if (n & 2) {
        memcpy(&two, q + (n & 4), 2);
        x = x << 16 | two;
    }
    if (n & 4) {
        memcpy(&four, q, 4);
        x = x << 32 | four;
    }
    return x;
}
VEC_FN __m128i vec_bytes(int lanes, const uint8_t *q)
{
    if (lanes == VEC)
        return _mm_loadu_si128((const __m128i *)(const void *)q);
    if (lanes < 8)
        return _mm_cvtsi64_si128((long long)vec_few_bytes(lanes, q));
    return _mm_insert_epi64(_mm_loadl_epi64((const __m128i *)(const void *)q),
                            (long long)vec_few_bytes(lanes - 8, q + 8), 1);
}
/* Codes minus a zero point. */
VEC_FN vec vec_codes(int lanes, const uint8_t *q, int zero_point)
{
    const __m128i b = vec_bytes(lanes, q);

    return (vec){vec_from_s32(_mm256_cvtepu8_epi32(b), zero_point),
                 vec_from_s32(_mm256_cvtepu8_epi32(_mm_srli_si128(b, 8)), zero_point)};
}
/* n < 8 bytes of x. */
VEC_FN void vec_store_few_bytes(int n, uint8_t *q, uint64_t x)
{
    for (int i = 0; i < n; i++)
        q[i] = (uint8_t)(x >> 8 * i);
}
/* The sixteen words that _mm256_packs_epi32() makes of two halves, to codes. */
VEC_FN void vec_store_words(int lanes, uint8_t *q, __m256i w)
{
    const __m256i s = _mm256_permute4x64_epi64(w, _MM_SHUFFLE(3, 1, 2, 0)); /* undo the halves */
    const __m128i b = _mm_packus_epi16(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));

    if (lanes == VEC) {
        _mm_storeu_si128((__m128i *)(void *)q, b);
    } else if (lanes < 8) {
        vec_store_few_bytes(lanes, q, (uint64_t)_mm_cvtsi128_si64(b));
    } else {
        _mm_storel_epi64((__m128i *)(void *)q, b);
        vec_store_few_bytes(lanes - 8, q + 8, (uint64_t)_mm_extract_epi64(b, 1));
    }
}
/* Whole numbers of 0 to 255, to codes. */
VEC_FN void vec_store_codes(int lanes, uint8_t *q, vec x)
{
    vec_store_words(lanes, q,
                    _mm256_packs_epi32(_mm256_cvttps_epi32(x.lo), _mm256_cvttps_epi32(x.hi)));
}
#define VEC_PAIR(f, ...) ((vec){f(VEC_HALF(lo, __VA_ARGS__)), f(VEC_HALF(hi, __VA_ARGS__))})
#define VEC_HALF(half, a, b) (a).half, (b).half
VEC_FN vec vec_add(vec a, vec b) { return VEC_PAIR(_mm256_add_ps, a, b); }
VEC_FN vec vec_sub(vec a, vec b) { return VEC_PAIR(_mm256_sub_ps, a, b); }
VEC_FN vec vec_mul(vec a, vec b) { return VEC_PAIR(_mm256_mul_ps, a, b); }
VEC_FN vec vec_fma(vec a, vec b, vec c)
{
    return (vec){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
VEC_FN vec vec_rint(vec a)
{
    return (vec){_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                 _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
/* a > b ? a : b and a < b ? a : b: b where one is a NaN. */
VEC_FN vec vec_max(vec a, vec b) { return VEC_PAIR(_mm256_max_ps, a, b); }
VEC_FN vec vec_min(vec a, vec b) { return VEC_PAIR(_mm256_min_ps, a, b); }
/* a == b ? x : y */
VEC_FN vec vec_if_equal(vec a, vec b, vec x, vec y)
{
    return (vec){_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ)),
                 _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ))};
}

/* The same in double. */
typedef struct {
    __m256d part[4];
} vecd;

VEC_FN vecd vecd_from(vec a)
{
    return (vecd){{_mm256_cvtps_pd(_mm256_castps256_ps128(a.lo)),
                   _mm256_cvtps_pd(_mm256_extractf128_ps(a.lo, 1)),
                   _mm256_cvtps_pd(_mm256_castps256_ps128(a.hi)),
                   _mm256_cvtps_pd(_mm256_extractf128_ps(a.hi, 1))}};
}
VEC_FN void vecd_store_all(double *p, vecd x)
{
    for (int i = 0; i < 4; i++)
        _mm256_storeu_pd(p + 4 * i, x.part[i]);
}
#define VECD_OP(op) _mm256_##op##_pd

#endif

/* A convolution's part in a sum, before it is rounded, and v of the sum (kern.h). */
VEC_FN vec vec_part(vec c)
{
    return vec_min(vec_set(OMQ_PART_MAX), vec_max(vec_set(OMQ_PART_MIN), c));
}
VEC_FN vec vec_add_codes(int lanes, vec c, vec r, vec zero, const uint8_t *res)
{
    return vec_fma(vec_codes(lanes, res, 0), r, vec_add(vec_rint(vec_part(c)), zero));
}

enum { VECD_PARTS = sizeof(vecd) / sizeof(((vecd *)0)->part[0]) };

VEC_FN vecd vecd_add(vecd a, vecd b)
{
    for (int i = 0; i < VECD_PARTS; i++)
        a.part[i] = VECD_OP(add)(a.part[i], b.part[i]);
    return a;
}
VEC_FN vecd vecd_sub(vecd a, vecd b)
{
    for (int i = 0; i < VECD_PARTS; i++)
        a.part[i] = VECD_OP(sub)(a.part[i], b.part[i]);
    return a;
}
VEC_FN vecd vecd_mul(vecd a, vecd b)
{
    for (int i = 0; i < VECD_PARTS; i++)
        a.part[i] = VECD_OP(mul)(a.part[i], b.part[i]);
    return a;
}

#endif
