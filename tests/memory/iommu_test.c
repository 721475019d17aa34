/* SPDX-License-Identifier: MIT */
/* iommu_test.c - accesses of all kinds through translating regions, and what refuses. */
#include "iommu_board.h"

/* --- Ways --------------------------------------------------------------- */

static void leads_elsewhere(void **state)
{
    struct sm_section section;
    struct board board;
    uint64_t value;

    board_init(&board);
    map_page(&board, 0x1000, DATA | ENTRY_RW);     /* an offset */
    map_page(&board, 0x2000, (DATA + 0x1000) | ENTRY_R);
    put(&board, UPPER, 1, 0x200000 | ENTRY_RW);    /* a large leaf, identity */
    assert_int_equal(load(&board, 0x1008, &value), SM_TX_OK);
    assert_int_equal(value, word(&board, DATA + 8));
    assert_int_equal(sm_address_space_store(board.world.space, IOVAS + 0x1008, &plain, 8,
                                            0x1122334455667788),
                     SM_TX_OK);
    assert_int_equal(word(&board, DATA + 8), 0x1122334455667788);
    assert_int_equal(sm_address_space_store(board.world.space, IOVAS + 0x212345, &plain,
                                            1, 0x77),
                     SM_TX_OK);
    assert_int_equal(board.host[0x212345], 0x77);
    /* A lookup shows what is there. */
    assert_true(sm_address_space_lookup(board.world.space, IOVAS + 0x1008, &section));
    assert_ptr_equal(section.region, board.translating);
    assert_int_equal(section.offset, 0);
    expect_view(&board.world,
                "0000000100000000-000000013fffffff translating iovas+0\n");
    assert_int_equal(board.model.n_reported, 0);

    /* Permissions; unmapped; each refusal is reported once. */
    assert_int_equal(load(&board, 0x2000, &value), SM_TX_OK);
    assert_int_equal(sm_address_space_store(board.world.space, IOVAS + 0x2000, &plain, 4,
                                            0),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(board.model.n_reported, 1);
    value = 5;
    assert_int_equal(load(&board, 0x3000, &value), SM_TX_ACCESS_ERROR);
    assert_int_equal(board.model.n_reported, 2);
    assert_int_equal(value, 5);
    /* Mapped onto a hole; onto the last byte that decodes. */
    map_page(&board, 0x3000, 0x700000 | ENTRY_RW);
    assert_int_equal(load(&board, 0x3000, &value), SM_TX_DECODE_ERROR);
    /* Read-only on the way, and at its end, holds for all but the debugger. */
    map_page(&board, 0x4000, ROM | ENTRY_RW);
    assert_int_equal(sm_address_space_store(board.world.space, IOVAS + 0x4000, &plain, 4,
                                            1),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_store(board.world.space, IOVAS + 0x4000, &debug, 4,
                                            1),
                     SM_TX_OK);
    sm_topology_begin(board.world.topo);
    sm_region_set_readonly(board.translating, true);
    commit(&board.world);
    assert_int_equal(sm_address_space_store(board.world.space, IOVAS + 0x1000, &plain, 4,
                                            1),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(load(&board, 0x1000, &value), SM_TX_OK);
    assert_int_equal(board.model.n_reported, 2);
    board_fini(&board);
}

static void behind_aliases(void **state)
{
    struct board board;
    uint64_t value;

    board_init(&board);
    struct sm_region *alias = new_alias(board.translating, "alias", 0x1000, 0x2fff);
    sm_topology_begin(board.world.topo);
    map(board.world.root, 0x5008, alias, 0); /* iovas are offsets in the region */
    commit(&board.world);
    map_page(&board, 0x1000, DATA | ENTRY_RW);
    map_page(&board, 0x2000, (DATA + 0x2000) | ENTRY_RW);
    assert_int_equal(sm_address_space_load(board.world.space, 0x5010, &plain, 8, &value),
                     SM_TX_OK);
    assert_int_equal(value, word(&board, DATA + 8));
    assert_int_equal(sm_address_space_load(board.world.space, 0x6004, &plain, 8, &value),
                     SM_TX_OK);
    assert_int_equal((uint32_t)value, word(&board, DATA + 0xffc) & UINT32_MAX);
    assert_int_equal(value >> 32, word(&board, DATA + 0x2000) & UINT32_MAX);
    /* It ends with its window. */
    assert_int_equal(sm_address_space_load(board.world.space, 0x7004, &plain, 8, &value),
                     SM_TX_DECODE_ERROR);
    board_fini(&board);
}

static void tables_by_attributes(void **state)
{
    const struct sm_attrs one = {.requester = 1, .process = 7, .space = 2};
    struct board board;
    uint64_t value, other;

    board_init(&board);
    put(&board, UPPER2, 0, LOWER2 | ENTRY_TABLE);
    board.model.root[1] = UPPER2;
    map_page(&board, 0x1000, DATA | ENTRY_RW);
    put(&board, LOWER2, 1, (DATA + 0x2000) | ENTRY_RW);
    assert_int_equal(load(&board, 0x1010, &value), SM_TX_OK);
    assert_int_equal(
        sm_address_space_load(board.world.space, IOVAS + 0x1010, &one, 8, &other),
        SM_TX_OK);
    assert_int_equal(value, word(&board, DATA + 0x10));
    assert_int_equal(other, word(&board, DATA + 0x2010));
    /* Who asks travels unmodified, also to a device. */
    put(&board, LOWER2, 2, GADGET | ENTRY_RW);
    board.gadget.value = 0x4711;
    assert_int_equal(
        sm_address_space_load(board.world.space, IOVAS + 0x2000, &one, 4, &value),
        SM_TX_OK);
    assert_int_equal(value, 0x4711);
    assert_memory_equal(&board.gadget.attrs, &one, sizeof(one));
    board_fini(&board);
}

/* Pages next to one another in iovas lie far apart, or nowhere. */
static void never_in_a_line(void **state)
{
    uint8_t out[0x3000], in[0x3000];
    struct board board;
    uint64_t done, value;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    map_page(&board, 0x1000, (DATA + 0x4000) | ENTRY_RW);
    map_page(&board, 0x2000, (DATA + 0x1000) | ENTRY_RW);
    map_page(&board, 0x3000, (DATA + 0x6000) | ENTRY_RW);
    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 31 + (i >> 8));
    assert_int_equal(sm_address_space_write(space, IOVAS + 0x1800, &plain, out, 0x2000,
                                            &done),
                     SM_TX_OK);
    assert_int_equal(done, 0x2000);
    assert_memory_equal(board.host + DATA + 0x4800, out, 0x800);
    assert_memory_equal(board.host + DATA + 0x1000, out + 0x800, 0x1000);
    assert_memory_equal(board.host + DATA + 0x6000, out + 0x1800, 0x800);
    assert_int_equal(sm_address_space_read(space, IOVAS + 0x1800, &plain, in, 0x2000,
                                           NULL),
                     SM_TX_OK);
    assert_memory_equal(in, out, 0x2000);
    /* Up to the first that is refused, which is reported once. */
    assert_int_equal(sm_address_space_read(space, IOVAS + 0x3800, &plain, in, 0x1000,
                                           &done),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(done, 0x800);
    assert_int_equal(board.model.n_reported, 1);
    /* Single accesses across a border, of every size. */
    for (unsigned size = 2; size <= 8; size *= 2) {
        for (unsigned before = 1; before < size; before++) {
            uint64_t want = 0;
            memcpy(&want, board.host + DATA + 0x5000 - before, before);
            want |= (word(&board, DATA + 0x1000) &
                     ((UINT64_C(1) << (8 * (size - before))) - 1))
                    << (8 * before);
            assert_int_equal(sm_address_space_load(space, IOVAS + 0x2000 - before, &plain,
                                                   size, &value),
                             SM_TX_OK);
            assert_int_equal(value, want);
            assert_int_equal(sm_address_space_store(space, IOVAS + 0x2000 - before,
                                                    &plain, size, ~want),
                             SM_TX_OK);
            assert_int_equal(sm_address_space_load(space, IOVAS + 0x2000 - before, &plain,
                                                   size, &value),
                             SM_TX_OK);
            assert_int_equal(value, size == 8 ? ~want
                                              : ~want & ((UINT64_C(1) << 8 * size) - 1));
        }
    }
    board_fini(&board);
}

static void devices_behind(void **state)
{
    struct board board;
    uint64_t value, done;
    uint8_t buf[0x20];

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    map_page(&board, 0x1000, GADGET | ENTRY_RW);
    map_page(&board, 0x2000, DATA | ENTRY_RW);
    board.gadget.value = 0x1000;
    assert_int_equal(load(&board, 0x1010, &value), SM_TX_OK);
    assert_int_equal(value, 0x1010);
    assert_int_equal(sm_address_space_store(space, IOVAS + 0x1004, &plain, 4, 0x504),
                     SM_TX_OK);
    assert_int_equal(board.gadget.value, 0x500);
    assert_int_equal(sm_address_space_read(space, IOVAS + 0x1ff0, &plain, buf, 0x20,
                                           &done),
                     SM_TX_OK);
    assert_int_equal(buf[0], 0xf0);
    assert_memory_equal(buf + 0x10, board.host + DATA, 0x10);
    /* Updates: on the device under one hold of its lock. */
    const int reads = board.gadget.reads;
    assert_int_equal(sm_address_space_rmw(space, IOVAS + 0x1000, &plain, 4, SM_RMW_ADD,
                                          3, &value),
                     SM_TX_OK);
    assert_int_equal(value, 0x500);
    assert_int_equal(board.gadget.value, 0x503);
    assert_int_equal(board.gadget.reads, reads + 1);
    struct sm_value old;
    assert_int_equal(sm_address_space_cas(space, IOVAS + 0x1000, &plain, 8,
                                          (struct sm_value){0x503, 0},
                                          (struct sm_value){0x600, 0}, &old),
                     SM_TX_OK);
    assert_int_equal(old.lo, 0x503);
    assert_int_equal(board.gadget.value, 0x600);
    /* RAM alone. */
    assert_int_equal(sm_address_space_load(space, IOVAS + 0x1000, &ram_only, 4, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_load(space, IOVAS + 0x2000, &ram_only, 4, &value),
                     SM_TX_OK);
    assert_int_equal(board.gadget.reads, reads + 2);
    board_fini(&board);
}

static void updates_and_loans(void **state)
{
    struct sm_mapping mapping;
    struct sm_value old;
    struct board board;
    uint64_t value;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    map_page(&board, 0x1000, (DATA + 0x1000) | ENTRY_RW);
    map_page(&board, 0x2000, (DATA + 0x2000) | ENTRY_W);
    map_page(&board, 0x3000, DATA | ENTRY_R);
    const uint64_t before = word(&board, DATA + 0x1008);
    assert_int_equal(sm_address_space_rmw(space, IOVAS + 0x1008, &plain, 8, SM_RMW_XOR,
                                          0xff, &value),
                     SM_TX_OK);
    assert_int_equal(value, before);
    assert_int_equal(word(&board, DATA + 0x1008), before ^ 0xff);
    const struct sm_value wide = {word(&board, DATA + 0x1010),
                                  word(&board, DATA + 0x1018)};
    assert_int_equal(sm_address_space_cas(space, IOVAS + 0x1010, &plain, 16, wide,
                                          (struct sm_value){1, 2}, &old),
                     SM_TX_OK);
    assert_int_equal(word(&board, DATA + 0x1010), 1);
    assert_int_equal(word(&board, DATA + 0x1018), 2);
    /* An update reads and writes; what refuses either reports it once. */
    assert_int_equal(board.model.n_reported, 0);
    assert_int_equal(sm_address_space_rmw(space, IOVAS + 0x2000, &plain, 8, SM_RMW_ADD, 1,
                                          &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(board.model.n_reported, 1);
    assert_int_equal(sm_address_space_rmw(space, IOVAS + 0x3000, &plain, 8, SM_RMW_ADD, 1,
                                          &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(board.model.n_reported, 2);
    /* Lent: up to the end of what lies in one stretch. */
    assert_int_equal(sm_address_space_map(space, IOVAS + 0x1010, &plain, 0x4000, SM_WRITE,
                                          &mapping),
                     SM_TX_OK);
    assert_ptr_equal(mapping.host, board.host + DATA + 0x1010);
    assert_int_equal(mapping.size, 0xff0);
    sm_mapping_release(&mapping);
    assert_int_equal(sm_address_space_map(space, IOVAS + 0x3010, &plain, 0x10, SM_WRITE,
                                          &mapping),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_map(space, IOVAS + 0x3010, &plain, 0x10, SM_READ,
                                          &mapping),
                     SM_TX_OK);
    assert_int_equal(mapping.size, 0x10);
    sm_mapping_release(&mapping);
    map_page(&board, 0x4000, GADGET | ENTRY_RW);
    assert_int_equal(sm_address_space_map(space, IOVAS + 0x4000, &plain, 0x10, SM_READ,
                                          &mapping),
                     SM_TX_ACCESS_ERROR);
    map_page(&board, 0x4000, 0x700000 | ENTRY_RW);
    assert_int_equal(sm_address_space_map(space, IOVAS + 0x4000, &plain, 0x10, SM_READ,
                                          &mapping),
                     SM_TX_DECODE_ERROR);
    board_fini(&board);
}

static void debugger(void **state)
{
    struct board board;
    uint64_t value;

    board_init(&board);
    map_page(&board, 0x1000, GADGET | ENTRY_RW);
    board.gadget.value = 9;
    assert_int_equal(
        sm_address_space_load(board.world.space, IOVAS + 0x1000, &debug, 4, &value),
        SM_TX_OK);
    assert_int_equal(value, 9);
    assert_int_equal(board.gadget.reads, 0);
    assert_int_equal(
        sm_address_space_load(board.world.space, IOVAS + 0x2000, &debug, 4, &value),
        SM_TX_ACCESS_ERROR);
    assert_int_equal(board.model.n_probes, 2);
    assert_int_equal(board.model.n_reported, 0);
    board_fini(&board);
}

/* --- What translate() may not ------------------------------------------- */

static enum sm_tx inner[4];

static void reach_out(struct table_model *model)
{
    struct board *board = model->owner;
    uint64_t value;

    inner[0] = sm_address_space_load(board->mem, GADGET, &plain, 4, &value);
    inner[1] = sm_address_space_load(board->world.space, IOVAS + 0x5000, &ram_only, 4,
                                     &value);
    inner[2] = sm_address_space_write(board->mem, GADGET, &plain, &value, 4, NULL);
    inner[3] = sm_address_space_load(board->mem, DATA, &ram_only, 8, &value);
}

static void translate_stays_at_home(void **state)
{
    struct board board;
    uint64_t value;

    board_init(&board);
    map_page(&board, 0x1000, DATA | ENTRY_RW);
    map_page(&board, 0x5000, DATA | ENTRY_RW);
    board.model.locks = true;
    board.model.inside = reach_out;
    board.model.owner = &board;
    assert_int_equal(load(&board, 0x1008, &value), SM_TX_OK);
    assert_int_equal(value, word(&board, DATA + 8));
    assert_int_equal(inner[0], SM_TX_ACCESS_ERROR);
    assert_int_equal(inner[1], SM_TX_ACCESS_ERROR);
    assert_int_equal(inner[2], SM_TX_ACCESS_ERROR);
    assert_int_equal(inner[3], SM_TX_OK);
    assert_int_equal(board.gadget.reads + board.gadget.writes, 0);
    assert_int_equal(board.model.n_asked, 1);
    assert_int_equal(board.model.last.iova, 0x1008);
    assert_int_equal(board.model.last.access, SM_READ);
    /* Outside again, everything is as before. */
    assert_int_equal(sm_address_space_load(board.mem, GADGET, &plain, 4, &value),
                     SM_TX_OK);
    board_fini(&board);
}

static void through_the_bus(struct gadget *gadget)
{
    struct board *board = gadget->owner;
    uint64_t value;

    inner[0] = sm_address_space_load(board->world.space, IOVAS + 0x1000, &ram_only, 4,
                                     &value);
}

static struct board *worker;

static void work_of_model(void *dev)
{
    uint64_t value;
    inner[0] = load(worker, 0x1000, &value);
    inner[1] = sm_address_space_load(worker->mem, DATA, &plain, 8, &value);
}

/* Under a device's lock the model could wait for another that waits for this one. */
static void not_from_within(void **state)
{
    struct sm_work work = {.run = work_of_model};
    struct board board;
    uint64_t value;

    board_init(&board);
    map_page(&board, 0x1000, DATA | ENTRY_RW);
    board.model.locks = true;
    board.gadget.inside = through_the_bus;
    board.gadget.owner = &board;
    inner[0] = SM_TX_OK;
    assert_int_equal(sm_address_space_load(board.mem, GADGET, &plain, 4, &value),
                     SM_TX_OK);
    assert_int_equal(inner[0], SM_TX_ACCESS_ERROR);
    worker = &board;
    inner[0] = SM_TX_OK;
    sm_device_defer(board.model.device, &work);
    sm_topology_work(board.world.topo);
    assert_int_equal(inner[0], SM_TX_ACCESS_ERROR); /* (L4) */
    assert_int_equal(inner[1], SM_TX_OK);
    sm_device_defer(board.gadget_device, &work); /* another device's may */
    sm_topology_work(board.world.topo);
    assert_int_equal(inner[0], SM_TX_OK);
    assert_int_equal(board.model.n_asked, 1);
    board_fini(&board);
}

static void bad_answers(void **state)
{
    struct fixed fixed;
    struct board board;
    uint64_t value = 5;

    board_init(&board);
    struct sm_region *root = new_container(&board.world, "root", UINT64_MAX);
    struct sm_address_space *space;
    assert_int_equal(sm_address_space_new(board.world.topo, "s", root, &space), 0);
    fixed_init(&fixed, board.world.topo, board.mem);
    sm_topology_begin(board.world.topo);
    map(root, 0, fixed.region, 0);
    commit(&board.world);
    const struct sm_iommu_map good = fixed.map;
    assert_int_equal(sm_address_space_load(space, DATA, &plain, 8, &value), SM_TX_OK);
    assert_int_equal(value, word(&board, DATA));

    struct sm_iommu_map bad[] = {good, good, good, good, good, good};
    bad[0].space = NULL;
    bad[1].space = board.world.space; /* not declared */
    bad[2].span.first = DATA + 1;     /* without the iova */
    bad[3].span.last = DATA - 1;
    bad[4].base = 1;                  /* wraps */
    bad[5].perms = SM_PERM_X;
    for (unsigned i = 0; i < SM_ARRAY_LEN(bad); i++) {
        fixed.map = bad[i];
        assert_int_equal(sm_address_space_load(space, DATA, &plain, 8, &value),
                         SM_TX_ACCESS_ERROR);
        assert_int_equal(sm_address_space_write(space, DATA, &plain, &value, 8, NULL),
                         SM_TX_ACCESS_ERROR);
        assert_int_equal(sm_address_space_rmw(space, DATA, &plain, 8, SM_RMW_ADD, 1,
                                              &value),
                         SM_TX_ACCESS_ERROR);
    }
    /* The last bytes there are, and spans of one byte. */
    fixed.map = good;
    fixed.map.span = (struct sm_range){UINT64_MAX - 7, UINT64_MAX};
    fixed.map.base = DATA;
    assert_int_equal(sm_address_space_load(space, UINT64_MAX - 7, &plain, 8, &value),
                     SM_TX_OK);
    assert_int_equal(value, word(&board, DATA));
    fixed.map.span = (struct sm_range){0x5003, 0x5003};
    assert_int_equal(sm_address_space_load(space, 0x5003, &plain, 1, &value), SM_TX_OK);
    assert_int_equal(value, board.host[DATA]);
    assert_int_equal(sm_address_space_load(space, 0x5002, &plain, 2, &value),
                     SM_TX_ACCESS_ERROR);
    board_fini(&board);
}

/* --- Readers that are no vCPUs, and a commit on the way ------------------ */

struct race {
    struct board board;
    struct sm_region *shown[2]; /* RAM of which one is shown at a time          */
    uint32_t stop, failed;      /* atomic */
};

static void *reads_on(void *arg)
{
    struct race *race = arg;
    uint64_t value;

    while (!sm_load_relaxed(&race->stop)) {
        if (load(&race->board, 0x1008, &value) != SM_TX_OK || value >> 1 != 0x55)
            sm_store_relaxed(&race->failed, 1);
        if (sm_address_space_read(race->board.world.space, IOVAS + 0x1008, &plain, &value,
                                  8, NULL) != SM_TX_OK ||
            value >> 1 != 0x55)
            sm_store_relaxed(&race->failed, 1);
    }
    return NULL;
}

static void others_read_on(void **state)
{
    struct race race = {.stop = 0};
    struct board *board = &race.board;
    pthread_t thread;

    board_init(board);
    struct sm_topology *topo = board->world.topo;
    for (unsigned i = 0; i < 2; i++) {
        race.shown[i] = new_ram(&board->world, "shown", 0x1000);
        ((uint64_t *)sm_region_host(race.shown[i]))[1] = 0xaa | i;
    }
    sm_topology_begin(topo);
    map(board->mem_root, 0x500000, race.shown[0], 1);
    map(board->mem_root, 0x500000, race.shown[1], 0);
    commit(&board->world);
    map_page(board, 0x1000, 0x500000 | ENTRY_R);
    board->model.locks = true;
    assert_int_equal(pthread_create(&thread, NULL, reads_on, &race), 0);
    for (unsigned i = 0; i < 300; i++) {
        /* What is hidden and invalidated may be given up when its ticket is done. */
        struct sm_region *gone = race.shown[i & 1];
        sm_topology_begin(topo);
        sm_region_unmap(gone);
        assert_int_equal(sm_region_free(gone), 0);
        commit(&board->world);
        sm_ticket_wait(topo, table_invalidate_all(&board->model));
        race.shown[i & 1] = new_ram(&board->world, "shown", 0x1000);
        ((uint64_t *)sm_region_host(race.shown[i & 1]))[1] = 0xaa | (i & 1);
        sm_topology_begin(topo);
        map(board->mem_root, 0x500000, race.shown[i & 1], 1);
        commit(&board->world);
        sm_topology_work(topo);
    }
    sm_store_relaxed(&race.stop, 1);
    pthread_join(thread, NULL);
    assert_false(race.failed);
    board_fini(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leads_elsewhere),
        cmocka_unit_test(behind_aliases),
        cmocka_unit_test(tables_by_attributes),
        cmocka_unit_test(never_in_a_line),
        cmocka_unit_test(devices_behind),
        cmocka_unit_test(updates_and_loans),
        cmocka_unit_test(debugger),
        cmocka_unit_test(translate_stays_at_home),
        cmocka_unit_test(not_from_within),
        cmocka_unit_test(bad_answers),
        cmocka_unit_test(others_read_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
