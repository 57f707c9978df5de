/* SPDX-License-Identifier: MIT
 *
 * The includer defines
 *   void unpack_blocks(const int bits, const struct omq_conv_shape *s,
 *                      const uint8_t *packed, int8_t *k)
 * for fewer than 8 bits: the codes of 16 outputs, in blocks.
 */

/* Of one block of 16 outputs. Blocks of 8 bits are the codes. */
static const int8_t *unpack_bytes(const struct omq_conv_shape *s, const uint8_t *packed, int8_t *k)
{
    switch (s->w_bits) {
    case 1: unpack_blocks(1, s, packed, k); break;
    case 2: unpack_blocks(2, s, packed, k); break;
    case 3: unpack_blocks(3, s, packed, k); break;
    case 4: unpack_blocks(4, s, packed, k); break;
    case 5: unpack_blocks(5, s, packed, k); break;
    case 6: unpack_blocks(6, s, packed, k); break;
    case 7: unpack_blocks(7, s, packed, k); break;
    default: return (const int8_t *)packed;
    }
    return k;
}
