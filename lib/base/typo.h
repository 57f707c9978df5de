/* SPDX-License-Identifier: MIT
 *
 * Words that are mistyped: how far they are from what there is.
 */
#ifndef OMQ_BASE_TYPO_H
#define OMQ_BASE_TYPO_H

/* What is longer is near nothing. */
enum { OMQ_TYPO_MAX_WORD = 40 };

/* Edits that make b of a: a letter more, less, or changed, or two neighbours swapped.
 * OMQ_TYPO_MAX_WORD + 1 if one of them is longer than that. */
int omq_typo_edits(const char *a, const char *b);

/* The most of them that what was meant may be away from what was typed: with more, short
 * words are near each other that have nothing in common. */
int omq_typo_limit(const char *typed);

#endif
