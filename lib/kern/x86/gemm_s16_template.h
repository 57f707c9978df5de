/* SPDX-License-Identifier: MIT
 *
 * gemm_s16 in blocks of OMQ_MR rows of a by four of w, each sum in a register of
 * partial sums. The includer defines OMQ_MR, OMQ_GEMM (the function's name) and
 *   __m256i dot(__m256i sums, __m256i a, __m256i w)     of pairs of 16 bits
 *
 * What is left of a row behind whole vectors is multiplied by a copy of w with
 * zeros behind it: so it does not matter that a's vector runs into the next
 * row, but for the last rows, which plain code takes.
 */
enum { WIDTH = 16, CHUNK = 8 * OMQ_MR }; /* values of a vector; rows that stay in L1 */

struct four {
    const int16_t *row[4];
    int n;                     /* rows that count */
    int16_t tail[4][WIDTH];
};

OMQ_INLINE __m256i load(const int16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

OMQ_INLINE void gemm_step(const int mr, int k, const int16_t *a, const int16_t *w0,
                          const int16_t *w1, const int16_t *w2, const int16_t *w3,
                          __m256i (*s)[4])
{
    const __m256i w[4] = {load(w0), load(w1), load(w2), load(w3)};

    OMQ_UNROLL for (int r = 0; r < mr; r++) {
        __m256i av = load(a + (ptrdiff_t)r * k);

        OMQ_UNROLL for (int j = 0; j < 4; j++)
            s[r][j] = dot(s[r][j], av, w[j]);
    }
}

OMQ_INLINE void gemm_block(const int mr, int k, const int16_t *a, const struct four *w, int n,
                           int32_t *acc)
{
    __m256i s[OMQ_MR][4];
    int p = 0;

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 4; j++)
            s[r][j] = _mm256_setzero_si256();
    for (; p + WIDTH <= k; p += WIDTH)
        gemm_step(mr, k, a + p, w->row[0] + p, w->row[1] + p, w->row[2] + p, w->row[3] + p, s);
    if (p < k)
        gemm_step(mr, k, a + p, w->tail[0], w->tail[1], w->tail[2], w->tail[3], s);
    OMQ_UNROLL for (int r = 0; r < mr; r++) {
        __m256i h = _mm256_hadd_epi32(_mm256_hadd_epi32(s[r][0], s[r][1]),
                                      _mm256_hadd_epi32(s[r][2], s[r][3]));
        __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
        int32_t *to = acc + (ptrdiff_t)r * n;

        if (w->n == 4)
            _mm_storeu_si128((__m128i *)(void *)to, sums);
        else
            for (int j = 0; j < w->n; j++, sums = _mm_srli_si128(sums, 4))
                to[j] = _mm_cvtsi128_si32(sums);
    }
}

static void take_four(struct four *f, int n, int k, const int16_t *w)
{
    const int whole = k / WIDTH * WIDTH;

    f->n = n < 4 ? n : 4;
    memset(f->tail, 0, sizeof(f->tail));
    for (int j = 0; j < 4; j++) {
        f->row[j] = w + (ptrdiff_t)(j < f->n ? j : 0) * k;
        memcpy(f->tail[j], f->row[j] + whole, sizeof(*w) * (size_t)(k - whole));
    }
}

static void plain_row(int n, int k, const int16_t *a, const int16_t *w, int32_t *acc)
{
    for (int j = 0; j < n; j++, w += k) {
        int32_t s = 0;

        for (int p = 0; p < k; p++)
            s += a[p] * w[p];
        acc[j] = s;
    }
}

void OMQ_GEMM(int m, int n, int k, const int16_t *a, const int16_t *w, int32_t *acc)
{
    /* Rows from which a whole vector can be read at any place that counts. */
    const int beyond = k % WIDTH ? WIDTH - k % WIDTH : 0;
    const int last = (beyond + k - 1) / k, safe = m > last ? m - last : 0;
    struct four f;

    for (int i = 0; i < safe; i += CHUNK) {
        const int end = i + CHUNK < safe ? i + CHUNK : safe;

        for (int j = 0; j < n; j += 4) {
            take_four(&f, n - j, k, w + (ptrdiff_t)j * k);
            for (int r = i; r < end; r += OMQ_MR) {
                const int rows = end - r < OMQ_MR ? end - r : OMQ_MR;

                OMQ_BLOCK_OF(rows, gemm_block, k, a + (ptrdiff_t)r * k, &f, n,
                             acc + (ptrdiff_t)r * n + j)
            }
        }
    }
    for (int r = safe; r < m; r++)
        plain_row(n, k, a + (ptrdiff_t)r * k, w, acc + (ptrdiff_t)r * n);
}
