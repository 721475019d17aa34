/* SPDX-License-Identifier: MIT */
/* support.h - a topology with one space for tests, and expected panics. */
#ifndef SM_TESTS_MEMORY_SUPPORT_H
#define SM_TESTS_MEMORY_SUPPORT_H

#include "../base/test.h"

#include "base/atomic.h"
#include "memory/memory_impl.h"
#include "softmmu/softmmu.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};
static const struct sm_attrs debug = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};
static const struct sm_attrs effects = {.process = SM_NO_PROCESS,
                                        .flags = SM_ATTR_DEBUG | SM_ATTR_EFFECTS};
static const struct sm_attrs ram_only = {.process = SM_NO_PROCESS,
                                         .flags = SM_ATTR_RAM_ONLY};

enum { PANICKED = 42 };

struct world {
    struct sm_topology *topo;
    struct sm_region *root; /* the whole of 2^64                               */
    struct sm_address_space *space;
    uint32_t wakes; /* atomic */
};

static inline void world_panic(void *owner, const char *text, const sm_gva *pc)
{
    fprintf(stderr, "panic: %s\n", text);
    _exit(PANICKED);
}

static inline void world_wake(void *owner)
{
    struct world *world = owner;
    sm_fetch_add_relaxed(&world->wakes, 1);
}

static inline void world_init(struct world *world)
{
    static const struct sm_owner_ops ops = {
        .struct_size = sizeof(ops), .panic = world_panic, .wake = world_wake};

    memset(world, 0, sizeof(*world));
    assert_int_equal(sm_topology_new(&ops, world, &world->topo), 0);
    assert_int_equal(sm_region_new(world->topo, "root", UINT64_MAX, &world->root), 0);
    assert_int_equal(
        sm_address_space_new(world->topo, "space", world->root, &world->space), 0);
}

static inline void world_fini(struct world *world)
{
    sm_topology_check(world->topo);
    sm_topology_free(world->topo);
}

static inline struct sm_region *new_ram(struct world *world, const char *name,
                                        uint64_t size)
{
    struct sm_region *region;
    assert_int_equal(sm_region_new_ram(world->topo, name, size, &region), 0);
    return region;
}

static inline struct sm_region *new_rom(struct world *world, const char *name,
                                        uint64_t size)
{
    struct sm_region *region;
    assert_int_equal(sm_region_new_rom(world->topo, name, size, &region), 0);
    return region;
}

static inline struct sm_region *new_container(struct world *world, const char *name,
                                              uint64_t last)
{
    struct sm_region *region;
    assert_int_equal(sm_region_new(world->topo, name, last, &region), 0);
    return region;
}

static inline struct sm_region *new_alias(struct sm_region *target, const char *name,
                                          uint64_t first, uint64_t last)
{
    struct sm_region *region;
    assert_int_equal(
        sm_region_new_alias(target, name, (struct sm_range){first, last}, &region), 0);
    return region;
}

static inline void map(struct sm_region *parent, uint64_t offset, struct sm_region *child,
                       int priority)
{
    assert_int_equal(sm_region_map(parent, offset, child, priority), 0);
}

static inline sm_ticket commit(struct world *world)
{
    sm_ticket ticket;
    assert_int_equal(sm_topology_commit(world->topo, &ticket), 0);
    return ticket;
}

/** Map one region in an edit of its own. */
static inline void show(struct world *world, uint64_t offset, struct sm_region *region)
{
    sm_topology_begin(world->topo);
    map(world->root, offset, region, 0);
    commit(world);
}

/** Compare the text of the current view of @space. */
static inline void expect_space(struct sm_address_space *space, const char *want)
{
    char text[4096];
    const size_t length =
        sm_flat_view_print(sm_load_acquire(&space->view), text, sizeof(text));
    assert_true(length < sizeof(text));
    assert_string_equal(text, want);
}

static inline void expect_view(struct world *world, const char *want)
{
    expect_space(world->space, want);
}

/** Expect that @go panics, in a process of its own. */
static inline void expect_panic(void (*go)(struct world *world), struct world *world)
{
    int status;

    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        go(world);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), PANICKED);
}

#endif
