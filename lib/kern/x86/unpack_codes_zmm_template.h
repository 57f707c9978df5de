/* SPDX-License-Identifier: MIT
 *
 * unpack() of conv_codes_template.h for vectors of 512 bits.
 */
/* Codes of one block: the bits of each plane, as a mask, add its unit where set. */
OMQ_INLINE __m512i unpack_block(const int bits, const uint8_t *packed, __m512i low, __m512i unit)
{
    __m512i k = low;

    OMQ_UNROLL for (int p = 0; p < bits; p++) {
        uint64_t plane;

        memcpy(&plane, packed + sizeof(plane) * p, sizeof(plane));
        k = _mm512_mask_add_epi8(k, (__mmask64)plane, k, unit);
        unit = _mm512_add_epi8(unit, unit);
    }
    return k;
}

OMQ_INLINE void unpack_blocks(const int bits, const struct omq_conv_shape *s, ptrdiff_t runs,
                              const uint8_t *packed, int8_t *k)
{
    const int least = s->midrise ? 1 - (1 << bits) : -(1 << (bits - 1));
    const __m512i low = _mm512_set1_epi8((char)least), unit = _mm512_set1_epi8(s->midrise ? 2 : 1);
    const __m512i tail = _mm512_set1_epi32((int32_t)(~0u >> 8 * (-(unsigned)s->run % INPUTS)));

    for (ptrdiff_t r = 0; r < runs; r++) {
        for (int i = 0; i < s->run; i += INPUTS, packed += 8 * bits, k += BLOCK)
            _mm512_storeu_si512(k, unpack_block(bits, packed, low, unit));
        _mm512_storeu_si512(k - BLOCK, _mm512_and_si512(_mm512_loadu_si512(k - BLOCK), tail));
    }
}

/* Blocks of 8 bits are the codes. */
static const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed, void *k)
{
    const ptrdiff_t runs = (ptrdiff_t)blocks * t->s->n_runs;

    switch (t->s->w_bits) {
    case 1: unpack_blocks(1, t->s, runs, packed, k); break;
    case 2: unpack_blocks(2, t->s, runs, packed, k); break;
    case 3: unpack_blocks(3, t->s, runs, packed, k); break;
    case 4: unpack_blocks(4, t->s, runs, packed, k); break;
    case 5: unpack_blocks(5, t->s, runs, packed, k); break;
    case 6: unpack_blocks(6, t->s, runs, packed, k); break;
    case 7: unpack_blocks(7, t->s, runs, packed, k); break;
    default: return (const int8_t *)packed;
    }
    return k;
}
