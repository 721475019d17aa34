/* SPDX-License-Identifier: MIT */
/* tlb_keep_test.c - what is kept, against a list that is searched from end to end. */
#include "fake_guest.h"
#include "tlb/tlb_check_impl.h"

enum { N_MODEL = 4096, N_STEPS = 60000 };

struct model {
    bool used;
    struct sm_tlb_key key;
    sm_gva page;
    uint8_t mode, access;
    struct sm_xlate xlate;
};

static struct model model[N_MODEL];
static struct sm_tlb_keep *keep;

static struct model *model_find(const struct sm_tlb_key *key, sm_gva page, unsigned mode,
                                unsigned access, bool global)
{
    for (unsigned i = 0; i < N_MODEL; i++) {
        struct model *entry = &model[i];
        if (entry->used && entry->page == page && entry->mode == mode &&
            entry->access == access && entry->xlate.global == global &&
            (global || !memcmp(&entry->key, key, sizeof *key)))
            return entry;
    }
    return NULL;
}

static void model_put(const struct sm_tlb_key *key, const struct sm_xlate_req *req,
                      const struct sm_xlate *xlate)
{
    const sm_gva page = req->gva & SM_PAGE_MASK;
    struct model *at = model_find(key, page, req->mode, req->access, xlate->global);

    for (unsigned i = 0; !at; i++) {
        assert_true(i < N_MODEL);
        if (!model[i].used)
            at = &model[i];
    }
    *at = (struct model){true, *key, page, req->mode, req->access, *xlate};
}

static void model_flush(const struct sm_tlb_scope *scope)
{
    for (unsigned i = 0; i < N_MODEL; i++) {
        struct model *entry = &model[i];
        const uint64_t inside = sm_mask(entry->xlate.leaf_bits[0]);
        bool agrees = true;
        for (unsigned n = 0; n < 3; n++)
            agrees &= (entry->key.word[n] & scope->mask.word[n]) == scope->key.word[n];
        if (entry->xlate.global ? scope->keep_global : !agrees)
            continue;
        if ((scope->modes >> entry->mode & 1) &&
            (entry->page & ~inside) <= scope->range.last &&
            (entry->page | inside) >= scope->range.first)
            entry->used = false;
    }
}

static struct sm_xlate_req random_req(struct rng *rng, sm_gva first, unsigned n_pages)
{
    return (struct sm_xlate_req){
        .gva = first + rng_below(rng, (uint64_t)n_pages << 12), .size = 1,
        .access = (uint8_t)rng_below(rng, SM_N_ACCESS),
        .mode = (uint8_t)rng_below(rng, 3)};
}

static void one_step(struct rng *rng)
{
    const struct sm_tlb_key key = {{rng_below(rng, 3), 0, 0}};
    const struct sm_xlate_req req = random_req(rng, 0x10000000, 200);
    struct sm_walk_trail trail = {.n = 1};

    if (rng_once_in(rng, 300)) {
        struct sm_tlb_scope scope = sm_tlb_scope_everything;
        scope.modes = (uint16_t)rng_below(rng, 8);
        scope.keep_global = rng_once_in(rng, 2);
        if (!rng_once_in(rng, 4)) {
            scope.range.first = req.gva & SM_PAGE_MASK;
            scope.range.last =
                scope.range.first + (rng_below(rng, 40) << 12) + 0xfff;
        }
        if (rng_once_in(rng, 2)) {
            scope.key = key;
            scope.mask.word[0] = UINT64_MAX;
        }
        sm_tlb_keep_flush(keep, &scope);
        model_flush(&scope);
    } else if (rng_once_in(rng, 2)) {
        const struct sm_xlate xlate = {
            .gpa = (rng_next(rng) & SM_PAGE_MASK) | (req.gva & 0xfff), .perms = 7,
            .leaf_bits = {rng_once_in(rng, 8) ? 16 : 12, 0}, .span_bits = 12,
            .global = rng_once_in(rng, 4)};
        trail.order = xlate.gpa;
        sm_tlb_keep_put(keep, &key, &req, &xlate, &trail);
        model_put(&key, &req, &xlate);
    } else {
        const sm_gva page = req.gva & SM_PAGE_MASK;
        const struct model *want = model_find(&key, page, req.mode, req.access, false);
        struct sm_xlate xlate = {.gpa = 0};
        if (!want)
            want = model_find(&key, page, req.mode, req.access, true);
        assert_int_equal(sm_tlb_keep_get(keep, &key, &req, &xlate, &trail), want != NULL);
        if (want) {
            assert_true(xlate.gpa ==
                        ((want->xlate.gpa & SM_PAGE_MASK) | (req.gva & 0xfff)));
            assert_true(trail.order == want->xlate.gpa);
        }
    }
}

static void test_model(void **state)
{
    struct rng rng = rng_seeded(0x6b656570);

    keep = sm_tlb_keep_new();
    assert_non_null(keep);
    for (unsigned i = 0; i < N_STEPS; i++)
        one_step(&rng);
    sm_tlb_keep_free(keep);
}

/** What an access was refused is not kept for it. */
static void test_refused(void **state)
{
    const struct sm_tlb_key key = {{1, 0, 0}};
    const struct sm_xlate_req req = {.gva = 0x1000, .size = 1, .access = SM_WRITE};
    const struct sm_xlate xlate = {.perms = SM_PERM_R};
    struct sm_walk_trail trail = {.n = 0};
    struct sm_xlate out;

    keep = sm_tlb_keep_new();
    sm_tlb_keep_put(keep, &key, &req, &xlate, &trail);
    assert_false(sm_tlb_keep_get(keep, &key, &req, &out, &trail));
    sm_tlb_keep_free(keep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
