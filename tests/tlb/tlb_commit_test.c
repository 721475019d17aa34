/* SPDX-License-Identifier: MIT */
/* tlb_commit_test.c - what a commit makes a vCPU forget: what changed, and no more.
 *
 * By hand, then as a model: a vCPU with two spaces, random edits of what either shows,
 * several in a commit, several commits before a safe point.  After it each access must
 * end where a fresh look at the map says, and entries of pages that did not change must
 * still be there, unless more changed than can be noted.
 */
#include "fake_guest.h"

#include "memory/memory_impl.h"

enum { PAGE = 4096, N_PAGES = 24, N_RAMS = 3, RAM_PAGES = 6, N_PIECES = 12 };
#define BASE UINT64_C(0x40000000)

static struct rng rng;

struct board {
    struct sm_topology *topo;
    struct sm_region *root[2], *piece[N_PIECES];
    struct sm_address_space *space[2];
    struct sm_device *device;
    struct sm_vcpu *vcpu;
    unsigned fill_space, n_fills, n_flushed;
};
static struct board board;

/* --- A guest whose addresses are those of a space, which the mode chooses ------------ */

static bool fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req, struct sm_xlate *out,
                 struct sm_fault *fault)
{
    board.n_fills++;
    *out = (struct sm_xlate){.gpa = req->gva, .ipa = req->gva, .span_bits = 64,
                             .leaf_bits = {64, 0}, .space = req->mode,
                             .perms = SM_PERM_R | SM_PERM_W | SM_PERM_X};
    return true;
}

static void bus_error(struct sm_vcpu *vcpu, const struct sm_xlate_req *req, sm_gpa gpa,
                      enum sm_tx tx, struct sm_fault *fault)
{
    *fault = (struct sm_fault){.cause = tx};
}

static const char *mode_name(uint8_t mode)
{
    return "";
}

static void flushed(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope)
{
    board.n_flushed++;
}

static const struct sm_guest_mmu_ops guest_ops = {
    .struct_size = sizeof guest_ops, .n_modes = 2, .tlb_fill = fill, .flushed = flushed,
    .bus_error = bus_error, .mode_name = mode_name};

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0xdddddddddddddddd;
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {.struct_size = sizeof io_ops, .read = io_read,
                                        .accepts = {1, 8, true},
                                        .implements = {1, 8, true}};

/* Pieces: aliases of RAM, straight and crooked, whole pages and less; devices. */
static struct sm_region *new_piece(unsigned i, struct sm_region *const *ram)
{
    const uint64_t first = (i % 3) * PAGE + (i & 1 ? 0x840 : 0);
    const uint64_t last = first + (i % 4 == 3 ? 0x900 : (i % 2 + 1) * PAGE) - 1;
    struct sm_region *piece;

    if (i >= N_PIECES - 3)
        assert_int_equal(sm_region_new_io(board.device, "io", i % 2 ? 0xfff : 0x1ff, &io_ops,
                                          &piece), 0);
    else
        assert_int_equal(sm_region_new_alias(ram[i % N_RAMS], "window",
                                             (struct sm_range){first, last}, &piece), 0);
    return piece;
}

static void board_init(void)
{
    struct sm_region *ram[N_RAMS];

    memset(&board, 0, sizeof board);
    assert_int_equal(sm_topology_new(NULL, NULL, &board.topo), 0);
    assert_int_equal(sm_device_new(board.topo, "dev", NULL, &board.device), 0);
    for (unsigned i = 0; i < N_RAMS; i++) {
        assert_int_equal(
            sm_region_new_ram(board.topo, "ram", RAM_PAGES * PAGE, &ram[i]), 0);
        for (unsigned at = 0; at < RAM_PAGES * PAGE; at += 8) {
            const uint64_t value = (uint64_t)i << 32 | at;
            memcpy((uint8_t *)sm_region_host(ram[i]) + at, &value, 8);
        }
    }
    sm_topology_begin(board.topo);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sm_region_new(board.topo, "root", UINT64_MAX, &board.root[i]), 0);
        assert_int_equal(
            sm_address_space_new(board.topo, "space", board.root[i], &board.space[i]), 0);
    }
    for (unsigned i = 0; i < N_PIECES; i++)
        board.piece[i] = new_piece(i, ram);
    assert_int_equal(sm_topology_commit(board.topo, NULL), 0);
    const struct sm_vcpu_options options = {
        .struct_size = sizeof options, .tlb_layout = SM_TLB_LAYOUT, .spaces = board.space,
        .n_spaces = 2, .ops = &guest_ops};
    assert_int_equal(sm_vcpu_new(board.topo, &options, &board.vcpu), 0);
    sm_vcpu_online(board.vcpu);
}

static void board_fini(void)
{
    sm_vcpu_check(board.vcpu);
    sm_vcpu_offline(board.vcpu);
    sm_vcpu_free(board.vcpu);
    sm_topology_free(board.topo);
}

static void show(unsigned piece, unsigned space, uint64_t offset)
{
    sm_topology_begin(board.topo);
    assert_int_equal(
        sm_region_map(board.root[space], BASE + offset, board.piece[piece], 0), 0);
    assert_int_equal(sm_topology_commit(board.topo, NULL), 0);
}

static void hide(unsigned piece)
{
    sm_topology_begin(board.topo);
    sm_region_unmap(board.piece[piece]);
    assert_int_equal(sm_topology_commit(board.topo, NULL), 0);
}

static bool hits(unsigned space, sm_gpa gpa)
{
    void *host;
    return sm_tlb_hit(sm_vcpu_fast(board.vcpu)->table[space], gpa, 1, SM_READ, &host);
}

/** Load by the TLB; returns whether a fresh look at the map says the same. */
static bool load_agrees(unsigned space, sm_gpa gpa, unsigned size_bits)
{
    const struct sm_attrs attrs = {.process = 0};
    const struct sm_memop op = {.size_bits = (uint8_t)size_bits, .mode = (uint8_t)space};
    struct sm_value value = {0, 0};
    uint64_t want = 0;
    struct sm_fault fault = {.cause = SM_TX_OK};
    enum sm_tx tx = SM_TX_OK;
    void *host;

    if (sm_tlb_hit(sm_vcpu_fast(board.vcpu)->table[space], gpa, 1u << size_bits, SM_READ,
                   &host))
        value.lo = sm_host_load(host, size_bits);
    else if (sm_tlb_read_slow(board.vcpu, gpa, op, &value, &fault) == SM_STEP_FAULT)
        tx = (enum sm_tx)fault.cause;
    const enum sm_tx wanted =
        sm_address_space_read(board.space[space], gpa, &attrs, &want, 1u << size_bits, NULL);
    return tx == wanted && (tx != SM_TX_OK || value.lo == want);
}

/* --- By hand ------------------------------------------------------------------------- */

static void only_what_changed(void **state)
{
    struct sm_tlb_stats before = {.struct_size = sizeof before}, after = before;

    board_init();
    show(0, 0, 0);        /* a page of RAM                                              */
    show(2, 1, 0);        /* another, there in the other space                          */
    show(4, 0, 2 * PAGE);
    show(9, 0, 8 * PAGE); /* a device                                                   */
    sm_vcpu_safe_point(board.vcpu);
    for (unsigned i = 0; i < 2; i++)
        for (unsigned page = 0; page < 10; page++)
            assert_true(load_agrees(i, BASE + page * PAGE, 3));
    assert_true(hits(0, BASE) && hits(1, BASE) && hits(0, BASE + 2 * PAGE));
    sm_tlb_get_stats(board.vcpu, &before);

    /* A device moves: no entry of memory goes. */
    const unsigned n_fills = board.n_fills, n_flushed = board.n_flushed;
    sm_topology_begin(board.topo);
    assert_int_equal(sm_region_move(board.piece[9], BASE + 9 * PAGE), 0);
    assert_int_equal(sm_topology_commit(board.topo, NULL), 0);
    sm_vcpu_safe_point(board.vcpu);
    assert_true(hits(0, BASE) && hits(1, BASE) && hits(0, BASE + 2 * PAGE));
    sm_tlb_get_stats(board.vcpu, &after);
    assert_int_equal(after.causes[SM_TLB_REMAPPED] - before.causes[SM_TLB_REMAPPED], 1);
    assert_int_equal(after.flushed - before.flushed, 2); /* the old place, and the new */
    assert_int_equal(after.flushes, before.flushes);
    assert_int_equal(board.n_flushed, n_flushed + 1); /* the guest may have derived much */
    assert_true(load_agrees(0, BASE + 8 * PAGE, 3) && load_agrees(0, BASE + 9 * PAGE, 3));
    assert_int_equal(board.n_fills, n_fills + 2);

    /* Of the two spaces, one. */
    hide(2);
    sm_vcpu_safe_point(board.vcpu);
    assert_true(hits(0, BASE) && !hits(1, BASE));
    /* A page of which a part changed. */
    show(3, 0, 0xf00);
    hide(0);
    sm_vcpu_safe_point(board.vcpu);
    assert_false(hits(0, BASE));
    assert_true(hits(0, BASE + 2 * PAGE));
    board_fini();
}

static void too_much_to_note(void **state)
{
    board_init();
    show(0, 0, 0);
    sm_vcpu_safe_point(board.vcpu);
    assert_true(load_agrees(0, BASE, 3) && hits(0, BASE));
    for (unsigned i = 0; i < SM_N_ASKED + 1; i++) {
        show(4, 0, 4 * PAGE);
        hide(4);
    }
    assert_true(hits(0, BASE)); /* until the safe point */
    sm_vcpu_safe_point(board.vcpu);
    assert_false(hits(0, BASE));
    assert_true(load_agrees(0, BASE, 3) && hits(0, BASE));
    show(4, 0, 4 * PAGE); /* and the places are free again */
    sm_vcpu_safe_point(board.vcpu);
    assert_true(hits(0, BASE));
    board_fini();
}

static void while_offline(void **state)
{
    board_init();
    show(0, 0, 0);
    show(4, 0, 4 * PAGE);
    sm_vcpu_safe_point(board.vcpu);
    assert_true(load_agrees(0, BASE, 3) && load_agrees(0, BASE + 4 * PAGE, 3));
    sm_vcpu_offline(board.vcpu);
    hide(0);
    sm_vcpu_online(board.vcpu);
    assert_true(!hits(0, BASE) && hits(0, BASE + 4 * PAGE));
    board_fini();
}

/* A store-conditional does not reach memory that a commit took away meanwhile. */
static void reservations_end(void **state)
{
    const struct sm_memop op = {.size_bits = 3};
    struct sm_fault fault;
    uint64_t value;
    bool stored;

    board_init();
    show(0, 0, 0);
    sm_vcpu_safe_point(board.vcpu);
    assert_int_equal(sm_tlb_load_reserved(board.vcpu, BASE, op, &value, &fault),
                     SM_STEP_DONE);
    show(4, 0, 4 * PAGE);
    sm_vcpu_safe_point(board.vcpu);
    assert_int_equal(sm_tlb_store_conditional(board.vcpu, BASE, op, 1, &stored, &fault),
                     SM_STEP_DONE);
    assert_false(stored);
    board_fini();
}

/* --- The model ----------------------------------------------------------------------- */

enum plant { NO_BUG, BUG_IGNORED, BUG_OTHER_SPACE, BUG_FIRST_ONLY, BUG_CUT, N_PLANTS };

static void damage(enum plant plant)
{
    struct sm_vcpu *const vcpu = board.vcpu;

    if (plant == BUG_IGNORED)
        vcpu->flush_everything = vcpu->asked = 0;
    for (unsigned i = 0; i < SM_N_ASKED; i++) {
        struct sm_tlb_asked *const asked = &vcpu->changed[i];
        if (plant == BUG_OTHER_SPACE)
            asked->space = board.space[asked->space == board.space[0]];
        if ((plant == BUG_FIRST_ONLY && i) || plant == BUG_IGNORED)
            asked->state = SM_MAIL_FREE;
        if (plant == BUG_CUT)
            asked->range.last = asked->range.first;
    }
}

static void edit(void)
{
    struct sm_region *const piece = board.piece[rng_below(&rng, N_PIECES)];
    const uint64_t at = BASE + rng_below(&rng, N_PAGES) * PAGE +
                        (rng_once_in(&rng, 4) ? rng_below(&rng, 8) * 0x200 : 0);

    if (piece->now.parent && rng_once_in(&rng, 3))
        sm_region_unmap(piece);
    else if (piece->now.parent && rng_once_in(&rng, 2))
        assert_int_equal(sm_region_move(piece, at), 0);
    else if (piece->now.parent)
        sm_region_set_readonly(piece, !piece->now.readonly);
    else
        assert_int_equal(sm_region_map(board.root[rng_below(&rng, 2)], at, piece,
                                       (int)rng_below(&rng, 3)), 0);
}

/** Who answers the page: what its direct entry depends on. */
struct answer {
    uint64_t region[16], offset[16];
};

static struct answer answer_of(unsigned space, sm_gpa page)
{
    struct answer answer;

    for (unsigned i = 0; i < 16; i++) { /* pieces begin and end at multiples of 0x40 */
        struct sm_section section;
        const bool any = sm_address_space_lookup(board.space[space], page + i * 0x100,
                                                 &section);
        answer.region[i] = any ? (uintptr_t)section.region + section.readonly : 0;
        answer.offset[i] =
            any ? section.offset + (page + i * 0x100 - section.range.first) : 0;
    }
    return answer;
}

static uint64_t n_kept, n_gone;

static bool goes_wrong(uint64_t seed, unsigned rounds, enum plant plant)
{
    static struct answer before[2][N_PAGES];
    bool was[2][N_PAGES], wrong = false;

    rng = rng_seeded(seed);
    board_init();
    for (unsigned round = 0; round < rounds && !wrong; round++) {
        const unsigned n_commits = rng_once_in(&rng, 8) ? 6 : 1;
        for (unsigned i = 0; i < 2 * N_PAGES; i++) {
            const unsigned space = i / N_PAGES, page = i % N_PAGES;
            was[space][page] = hits(space, BASE + page * PAGE);
            before[space][page] = answer_of(space, BASE + page * PAGE);
        }
        for (unsigned i = 0; i < n_commits; i++) {
            sm_topology_begin(board.topo);
            for (uint64_t n = 1 + rng_below(&rng, 2); n; n--)
                edit();
            assert_int_equal(sm_topology_commit(board.topo, NULL), 0);
            if (rng_once_in(&rng, 4)) /* an entry of before, or of after */
                (void)load_agrees((unsigned)rng_below(&rng, 2),
                                  BASE + rng_below(&rng, N_PAGES) * PAGE, 3);
        }
        damage(plant);
        const bool all = board.vcpu->flush_everything;
        sm_vcpu_safe_point(board.vcpu);
        for (unsigned i = 0; i < 2 * N_PAGES && n_commits == 1 && !all; i++) {
            const unsigned space = i / N_PAGES, page = i % N_PAGES;
            const struct answer now = answer_of(space, BASE + page * PAGE);
            const bool same = !memcmp(&now, &before[space][page], sizeof now);
            n_kept += was[space][page] && same;
            n_gone += was[space][page] && !same;
            if (was[space][page] && same && !hits(space, BASE + page * PAGE) &&
                plant == NO_BUG)
                wrong = true;
        }
        for (unsigned i = 0; i < 2 * N_PAGES && !wrong; i++)
            wrong = !load_agrees(i / N_PAGES,
                                 BASE + i % N_PAGES * PAGE + rng_below(&rng, PAGE - 16),
                                 (unsigned)rng_below(&rng, 4));
        if (rng_once_in(&rng, 64)) /* else what was a hole once is by the bus for ever */
            sm_tlb_flush_local(board.vcpu, &sm_tlb_scope_everything);
        if (round % 64 == 0)
            sm_vcpu_check(board.vcpu);
    }
    board.vcpu->flush_everything = 1; /* undo a plant */
    board_fini();
    return wrong;
}

static void entries_follow_the_map(void **state)
{
    n_kept = n_gone = 0;
    for (uint64_t seed = 0xc0; seed < 0xc4; seed++)
        assert_false(goes_wrong(seed, 1500, NO_BUG));
    printf("%llu entries kept, %llu gone\n", (unsigned long long)n_kept,
           (unsigned long long)n_gone);
    assert_true(n_kept > 4 * n_gone && n_gone > 100);
}

static void planted_bugs_are_found(void **state)
{
    for (enum plant plant = NO_BUG + 1; plant < N_PLANTS; plant++) {
        bool found = false;
        for (uint64_t seed = 0xc8; seed < 0xcc && !found; seed++)
            found = goes_wrong(seed, 20000, plant);
        if (!found)
            fail_msg("planted bug %u was not found", plant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_changed),
        cmocka_unit_test(too_much_to_note),
        cmocka_unit_test(while_offline),
        cmocka_unit_test(reservations_end),
        cmocka_unit_test(entries_follow_the_map),
        cmocka_unit_test(planted_bugs_are_found),
    };
    return cmocka_run_group_tests_name("tlb_commit", tests, NULL, NULL);
}
