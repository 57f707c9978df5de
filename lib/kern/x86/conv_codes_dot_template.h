/* SPDX-License-Identifier: MIT
 *
 * sum_block() of conv_pixels_template.h, where one instruction adds four products
 * to a sum of 32 bits, all of them exact. The includer defines VECS (vectors of
 * sums to 16 outputs), SUMS (their type) and
 *   SUMS load_sums(const void *p), void store_sums(int32_t *p, SUMS s)
 *   SUMS broadcast(const uint8_t *x)           four codes, in every lane
 *   SUMS dot(SUMS sums, SUMS x, SUMS k)
 */
enum { LANES = OUTPUTS / VECS, POINTERS = 10 /* that there are registers for */ };

OMQ_INLINE void sum_block(const int mr, const int blocks, const struct conv_codes *t,
                          const struct pixels *p, const int8_t *k, int32_t *acc)
{
    const int nr = VECS * blocks;
    SUMS sums[OMQ_MR][VECS * PANEL];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            sums[r][j] = load_sums(t->io->start + t->first + LANES * j);
    for (int run = 0; run < t->s->n_runs; run++) {
        const ptrdiff_t at = t->io->run_at[run], end = at + INPUTS * t->steps;

        for (ptrdiff_t i = at; i < end; i += INPUTS, k += BLOCK) {
            SUMS kv[VECS * PANEL];

            OMQ_UNROLL for (int j = 0; j < nr; j++)
                kv[j] = load_sums(k + j / VECS * t->k_bytes + j % VECS * INPUTS * LANES);
            OMQ_UNROLL for (int r = 0; r < mr; r++) {
                SUMS xv = broadcast((r < POINTERS ? p->x[r] : OMQ_RELOAD(p->x[r])) + i);

                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    sums[r][j] = dot(sums[r][j], xv, kv[j]);
            }
        }
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            store_sums(acc + OUTPUTS * blocks * r + LANES * j, sums[r][j]);
}
