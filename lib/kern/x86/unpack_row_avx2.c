/* SPDX-License-Identifier: MIT
 *
 * 32 codes at a time. A code lies within two bytes: those are moved to a lane of 16
 * bits of its own, and the bits around it out of it on either side.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { AT_ONCE = 32, HALF = AT_ONCE / 2 };

struct unpack {
    __m256i bytes, left; /* of a half's codes: which two, and 2^(bits behind it) */
    __m128i right;
    __m256i subtract;
    int twice;
};

static struct unpack unpack_of(int bits, bool midrise)
{
    uint8_t bytes[2 * HALF];
    uint16_t left[HALF];
    struct unpack u;

    for (int i = 0; i < HALF; i++) {
        bytes[2 * i] = (uint8_t)(i * bits / 8);
        bytes[2 * i + 1] = (uint8_t)(i * bits / 8 + 1);
        left[i] = (uint16_t)(1 << (16 - bits - i * bits % 8));
    }
    u.bytes = _mm256_loadu_si256((const void *)bytes);
    u.left = _mm256_loadu_si256((const void *)left);
    u.right = _mm_cvtsi32_si128(16 - bits);
    u.subtract = _mm256_set1_epi16((int16_t)(midrise ? (1 << bits) - 1 : 1 << (bits - 1)));
    u.twice = midrise;
    return u;
}

OMQ_INLINE __m256i unpack_half(const struct unpack *u, const uint8_t *p)
{
    const __m256i all = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
    const __m256i two = _mm256_shuffle_epi8(all, u->bytes);
    const __m256i j = _mm256_srl_epi16(_mm256_mullo_epi16(two, u->left), u->right);

    return _mm256_sub_epi16(_mm256_slli_epi16(j, u->twice), u->subtract);
}

/* The last bytes, of which 16 can no longer be read at once, are the reference's. */
void omq_unpack_row_avx2(int bits, bool midrise, size_t n, const uint8_t *packed, int8_t *k)
{
    const struct unpack u = unpack_of(bits, midrise);
    const size_t step = (size_t)bits * (HALF / 8), all = (n * (size_t)bits + 7) / 8;
    size_t i = 0, at = 0;

    for (; i + AT_ONCE <= n && at + step + 16 <= all; i += AT_ONCE, at += 2 * step) {
        const __m256i both = _mm256_packs_epi16(unpack_half(&u, packed + at),
                                                unpack_half(&u, packed + at + step));

        _mm256_storeu_si256((void *)(k + i), _mm256_permute4x64_epi64(both, 0xd8));
    }
    omq_unpack_row_ref(bits, midrise, n - i, packed + at, k + i);
}
#endif
