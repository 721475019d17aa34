/* SPDX-License-Identifier: MIT */
/* small_regions_test.c - a hundred thousand registers side by side, at full precision.
 *
 * RAM, ROM, devices, aliases and reservations of 1 to 8 bytes, without gaps, a thousand to
 * a page: each byte must be answered by its own region, whatever the width of the access.
 * bench/small_regions.c has a million, and says what they cost.
 */
#include "support.h"

#include <stdlib.h>

#ifdef SM_DEBUG_CHECKS
enum { N = 4000 }; /* each commit checks the whole tree                             */
#else
enum { N = 100000 };
#endif
enum { BASE = 0x10003, N_LOOKED_AT = 20000 };

struct spot {
    struct sm_region *region, *answers;
    uint64_t at;
    unsigned size, kind;
};

static enum sm_tx offset_read(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0xd0 + offset;
    return SM_TX_OK;
}

static const struct sm_io_ops ops = {.struct_size = sizeof(ops),
                                     .read = offset_read,
                                     .accepts = {1, 1, true},
                                     .implements = {1, 1, true}};

struct many {
    struct world world;
    struct sm_device *device;
    struct sm_region *ram; /* behind the aliases                               */
    struct spot *spot;
    uint64_t end;
};

static void make_spot(struct many *many, unsigned i, uint64_t *random)
{
    struct spot *spot = &many->spot[i];
    uint64_t first;

    spot->at = many->end;
    spot->size = 1 + (unsigned)test_below(random, 8);
    spot->kind = (unsigned)test_below(random, 5);
    switch (spot->kind) {
    case 0: spot->region = new_ram(&many->world, NULL, spot->size); break;
    case 1: spot->region = new_rom(&many->world, NULL, spot->size); break;
    case 2:
        assert_int_equal(sm_region_new_io(many->device, NULL, spot->size - 1, &ops,
                                          &spot->region),
                         0);
        break;
    case 3:
        first = test_below(random, 200);
        spot->region = new_alias(many->ram, NULL, first, first + spot->size - 1);
        break;
    default:
        assert_int_equal(sm_region_new_reserved(many->world.topo, NULL, spot->size - 1,
                                                &spot->region),
                         0);
    }
    spot->answers = spot->kind == 3 ? many->ram : spot->kind == 4 ? NULL : spot->region;
    map(many->world.root, many->end, spot->region, 0);
    many->end += spot->size;
}

static void many_init(struct many *many, uint64_t *random)
{
    world_init(&many->world);
    many->spot = calloc(N, sizeof(*many->spot));
    many->end = BASE;
    assert_int_equal(sm_device_new(many->world.topo, "d", NULL, &many->device), 0);
    many->ram = new_ram(&many->world, "ram", 256);
    for (unsigned i = 0; i < 256; i++)
        ((uint8_t *)sm_region_host(many->ram))[i] = (uint8_t)i;
    sm_topology_begin(many->world.topo);
    for (unsigned i = 0; i < N; i++)
        make_spot(many, i, random);
    commit(&many->world);
}

/* What a read of byte @n of @spot gives. */
static enum sm_tx expected(const struct spot *spot, unsigned n, uint64_t *value)
{
    *value = 0;
    switch (spot->kind) {
    case 2: *value = 0xd0 + n; break;
    case 3: *value = (spot->region->now.window + n) & 0xff; break;
    case 4: return SM_TX_DECODE_ERROR;
    default: *value = ((uint8_t *)sm_region_host(spot->region))[n];
    }
    return SM_TX_OK;
}

static void check_spot(struct many *many, const struct spot *spot)
{
    struct sm_address_space *space = many->world.space;
    struct sm_section section;
    uint64_t value, want;

    for (unsigned n = 0; n < spot->size; n++) {
        assert_true(sm_address_space_lookup(space, spot->at + n, &section) ==
                    (spot->answers != NULL));
        if (spot->answers)
            assert_ptr_equal(section.region, spot->answers);
        const enum sm_tx tx = expected(spot, n, &want);
        assert_int_equal(sm_address_space_load(space, spot->at + n, &plain, 1, &value), tx);
        if (tx == SM_TX_OK)
            assert_int_equal(value, want);
    }
}

/* A read over several spots: each byte from its own, up to the first that refuses. */
static void check_across(struct many *many, unsigned i)
{
    const unsigned all = 64;
    uint8_t got[64];
    uint64_t done, n = 0, want = 0;
    enum sm_tx tx = SM_TX_OK;

    const enum sm_tx result = sm_address_space_read(
        many->world.space, many->spot[i].at, &plain, got, all, &done);
    for (const struct spot *spot = &many->spot[i]; tx == SM_TX_OK && n < all; spot++)
        for (unsigned b = 0; b < spot->size && n < all; b++) {
            tx = expected(spot, b, &want);
            if (tx != SM_TX_OK)
                break;
            assert_int_equal(got[n], want);
            n++;
        }
    assert_int_equal(result, tx);
    assert_int_equal(done, n);
}

static void all_apart(void **state)
{
    uint64_t random = test_seed(71);
    struct many many;

    many_init(&many, &random);
    for (unsigned i = 0; i < N; i++) /* each RAM its own bytes, and no neighbour's */
        if (many.spot[i].kind == 0)
            memset(sm_region_host(many.spot[i].region), (int)(i % 251), many.spot[i].size);
    for (unsigned i = 0; i < N_LOOKED_AT; i++)
        check_spot(&many, &many.spot[test_below(&random, N)]);
    for (unsigned i = 0; i < N_LOOKED_AT; i++)
        check_across(&many, (unsigned)test_below(&random, N - 64));
    /* A commit of one among so many; what it removes is freed, and the rest stays. */
    for (unsigned i = 0; i < 500; i++) {
        struct spot *spot = &many.spot[test_below(&random, N)];
        if (!spot->region->now.parent)
            continue;
        sm_topology_begin(many.world.topo);
        sm_region_unmap(spot->region);
        assert_int_equal(sm_region_free(spot->region), 0);
        commit(&many.world);
        const unsigned size = spot->size;
        spot->region = new_ram(&many.world, NULL, size);
        spot->kind = 0;
        spot->answers = spot->region;
        show(&many.world, spot->at, spot->region);
        check_spot(&many, spot);
    }
    sm_topology_work(many.world.topo);
    for (unsigned i = 0; i < N_LOOKED_AT; i++)
        check_spot(&many, &many.spot[test_below(&random, N)]);
    free(many.spot);
    world_fini(&many.world);
}

/* Small memory is zeroed, of its own, lent and logged like any other. */
static void lent_and_logged(void **state)
{
    struct sm_mapping mapping[40];
    struct sm_dirty_log *log;
    struct world world;

    world_init(&world);
    struct sm_region *small = new_ram(&world, "small", 100);
    uint8_t *host = sm_region_host(small);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(host[i], 0);
    assert_int_equal((uintptr_t)host % 64, 0); /* a granule of reservations         */
    assert_null(small->ram->lent);
    show(&world, 0x1000, small);
    assert_int_equal(sm_dirty_log_new(small, &log), 0);
    const struct sm_range all = {0, UINT64_MAX};
    assert_true(sm_dirty_log_take(log, all, NULL, NULL) > 0);
    for (unsigned i = 0; i < 40; i++) /* more than any memory notes one by one */
        assert_int_equal(sm_address_space_map(world.space, 0x1000 + i, &plain, 8, SM_WRITE,
                                              &mapping[i]),
                         SM_TX_OK);
    assert_int_equal(small->ram->n_lent, 40);
    for (unsigned i = 0; i < 40; i++)
        sm_mapping_release(&mapping[i]);
    assert_int_equal(small->ram->n_lent, 0);
    world_fini(&world);
}

static void count(void *arg, const struct sm_range *pages)
{
    assert_int_equal(pages->first, 0);
    assert_int_equal(pages->last, 99);
    ++*(int *)arg;
}

/* (D2), of memory that counts instead of noting. */
static void lent_is_dirty(void **state)
{
    const struct sm_range all = {0, UINT64_MAX};
    struct sm_mapping mapping;
    struct sm_dirty_log *log;
    struct world world;
    int n = 0;

    world_init(&world);
    struct sm_region *small = new_ram(&world, "small", 100);
    show(&world, 0x1000, small);
    assert_int_equal(sm_dirty_log_new(small, &log), 0);
    assert_true(sm_dirty_log_take(log, all, count, &n) > 0); /* begins all set */
    (void)!sm_dirty_log_take(log, all, count, &n);
    assert_int_equal(n, 1);
    assert_int_equal(
        sm_address_space_map(world.space, 0x1000, &plain, 8, SM_WRITE, &mapping),
        SM_TX_OK);
    for (int i = 0; i < 3; i++)
        (void)!sm_dirty_log_take(log, all, count, &n);
    assert_int_equal(n, 4);
    sm_mapping_release(&mapping);
    (void)!sm_dirty_log_take(log, all, count, &n); /* what was written since */
    assert_int_equal(n, 5);
    (void)!sm_dirty_log_take(log, all, count, &n);
    assert_int_equal(n, 5);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_apart),
        cmocka_unit_test(lent_and_logged),
        cmocka_unit_test(lent_is_dirty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
