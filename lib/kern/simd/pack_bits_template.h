/* SPDX-License-Identifier: MIT
 *
 * pack_bits: words of 32 inputs of an output, OUTPUTS of them side by side, a plane
 * behind the other. The includer defines PACK_BITS, the name, and
 *   void pack_output(int bits, size_t n, const int8_t *k, uint8_t *packed)
 * whose words lie OUTPUTS words apart, and those of a plane `bits` times as far;
 * 2j = k + 2^bits - 1.
 */
void PACK_BITS(const struct omq_conv_shape *s, const int8_t *k, void *packed, int32_t *start)
{
    const size_t n = (size_t)s->n_runs * (size_t)s->run;
    const size_t group = n / INPUTS * (size_t)s->w_bits * WORD * OUTPUTS;
    uint8_t *to = packed;

    for (int o = 0; o < s->oc; o += OUTPUTS, to += group) {
        if (s->oc - o < OUTPUTS)
            memset(to, 0, group);
        memset(start + o, 0, sizeof(*start) * OUTPUTS);
        for (int i = 0; i < OUTPUTS && o + i < s->oc; i++)
            pack_output(s->w_bits, n, k + (size_t)(o + i) * n, to + WORD * i);
    }
}
