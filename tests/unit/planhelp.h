/* SPDX-License-Identifier: MIT
 *
 * Plans and their units, for tests that look into them.
 */
#ifndef OMQ_TESTS_PLANHELP_H
#define OMQ_TESTS_PLANHELP_H

#include <check.h>
#include <string.h>

#include "graphhelp.h"

static inline const struct omq_unit *unit_of(const struct omq_plan *p, const char *name)
{
    for (int i = 0; i < p->n_units; i++)
        if (strcmp(p->units[i].name, name) == 0)
            return &p->units[i];
    ck_abort_msg("there is no unit '%s'", name);
    return NULL;
}

/* Name of the site of a tensor. */
static inline const char *at_site(const struct omq_plan *p, int tensor)
{
    return p->tensors[tensor].site < 0 ? "" : p->sites[p->tensors[tensor].site].name;
}

/* Units run after those whose output they read; each tensor but the ends has a
 * quantizer; a max pool's tensors share theirs. */
static inline void check_plan(const struct omq_plan *p)
{
    for (int i = 0; i < p->n_units; i++) {
        const struct omq_unit *u = &p->units[i];
        bool in = u->in == 0, res = u->res <= 0;

        for (int j = 0; j < i; j++) {
            in = in || p->units[j].out == u->in;
            res = res || p->units[j].out == u->res;
            ck_assert_int_ne(p->units[j].out, u->out);
        }
        ck_assert_msg(in && res, "'%s' reads what is not there yet", u->name);
        if (u->kind == OMQ_UNIT_MAXPOOL)
            ck_assert_str_eq(at_site(p, u->in), at_site(p, u->out));
    }
    for (int t = 0; t < p->n_tensors; t++)
        ck_assert_int_eq(p->tensors[t].site < 0, p->tensors[t].is_input || p->tensors[t].is_logits);
    ck_assert(p->tensors[0].is_input && p->tensors[p->units[p->n_units - 1].out].is_logits);
}

/* Of a graph, which is released. */
static inline void plan_of(struct omq_plan *p, struct omq_graph *g)
{
    ck_assert_msg(omq_plan_init(p, g, &err) == OMQ_OK, "%s", err.msg);
    check_plan(p);
    omq_graph_release(g);
}

/* What it is, and the sites of what it reads, adds ("-": nothing) and writes. */
static inline void check_unit(const struct omq_plan *p, const char *name, enum omq_unit_kind kind,
                              const char *in, const char *res, const char *out)
{
    const struct omq_unit *u = unit_of(p, name);

    ck_assert_int_eq(u->kind, kind);
    ck_assert_str_eq(at_site(p, u->in), in);
    ck_assert_str_eq(u->res < 0 ? "-" : at_site(p, u->res), res);
    ck_assert_str_eq(at_site(p, u->out), out);
}

#endif
