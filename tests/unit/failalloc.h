/* SPDX-License-Identifier: MIT
 *
 * Memory that runs out on request. The test binary is linked with
 * -Wl,--wrap=malloc and so on, which leads the allocations of our own objects
 * through here (those inside shared libraries not).
 */
#ifndef OMQ_TESTS_FAILALLOC_H
#define OMQ_TESTS_FAILALLOC_H

/* From now on the nth allocation (1 is the next one) and all later ones fail;
 * 0: none fails any more. */
void failalloc_set(long nth);

/* Allocations since the last failalloc_set(). */
long failalloc_count(void);

#endif
