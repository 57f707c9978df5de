/* SPDX-License-Identifier: MIT */
#include "base/rng.h"

#include <math.h>

static void philox(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3];

    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;

        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void omq_rng_init(struct omq_rng *r, uint64_t seed, enum omq_stream stream, uint32_t a, uint32_t b)
{
    *r = (struct omq_rng){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .ctr = {0, (uint32_t)stream, a, b},
    };
}

uint32_t omq_rng_u32(struct omq_rng *r)
{
    if (r->left == 0) {
        philox(r->key, r->ctr, r->out);
        r->ctr[0]++;
        r->left = 4;
    }
    return r->out[--r->left];
}

uint32_t omq_rng_below(struct omq_rng *r, uint32_t n)
{
    /* Lemire's multiply-shift with rejection of the biased low part. */
    uint64_t m = (uint64_t)omq_rng_u32(r) * n;

    if ((uint32_t)m < n) {
        uint32_t floor = (uint32_t)(-n) % n;

        while ((uint32_t)m < floor)
            m = (uint64_t)omq_rng_u32(r) * n;
    }
    return (uint32_t)(m >> 32);
}

double omq_rng_uniform(struct omq_rng *r)
{
    uint64_t hi = omq_rng_u32(r), lo = omq_rng_u32(r);

    return (double)((hi << 32 | lo) >> 11) * 0x1p-53;
}

double omq_rng_normal(struct omq_rng *r)
{
    double u = 1.0 - omq_rng_uniform(r), v = omq_rng_uniform(r);

    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}
