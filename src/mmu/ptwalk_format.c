/* SPDX-License-Identifier: MIT */
/* ptwalk_format.c - checks that a format row means what it says (P5, P6). */
#include "mmu/mmu_impl.h"

/** Whether @test can hold for no entry at all. */
static bool impossible(const struct sm_pt_test *test)
{
    return (test->value & ~test->mask) != 0;
}

static const char *check_levels(const struct sm_pt_format *format)
{
    if (format->n_levels < 1 || format->n_levels > SM_PT_MAX_LEVELS)
        return "n_levels is out of range";
    for (uint32_t i = 0; i < format->n_levels; i++) {
        const struct sm_pt_level *level = &format->level[i];
        if (level->index_bits == 0)
            return "a level has no index bits";
        if ((unsigned)level->shift + level->index_bits > 64)
            return "an index field leaves the address";
        if (i > 0 &&
            (unsigned)level->shift + level->index_bits != format->level[i - 1].shift)
            return "index fields are not contiguous and descending";
    }
    if (format->level[format->n_levels - 1].shift < SM_PAGE_BITS)
        return "the last level ends below the smallest page";
    if (!format->level[format->n_levels - 1].leaf)
        return "the last level has no leaves";
    return NULL;
}

static const char *check_tests(const struct sm_pt_format *format)
{
    bool wrong = impossible(&format->present) || impossible(&format->table) ||
                 impossible(&format->group) || impossible(&format->user) ||
                 impossible(&format->global);

    for (unsigned i = 0; i < SM_PT_MAX_BAD; i++) {
        wrong = wrong || impossible(&format->bad[i]);
        if (i > 0 && format->bad[i].mask && !format->bad[i - 1].mask)
            return "an unused bad test lies before a used one";
    }
    for (unsigned user = 0; user < 2; user++) {
        for (unsigned access = 0; access < SM_N_ACCESS; access++)
            wrong = wrong || impossible(&format->perm[user][access]);
    }
    return wrong ? "a test's value has bits outside of its mask" : NULL;
}

/** Fields that stand for one thing each: disjoint, and apart from all tests. */
static const char *check_fields(const struct sm_pt_format *format)
{
    const uint64_t field[] = {format->address_mask, format->accessed, format->dirty,
                              format->memtype, format->reserved, format->global.mask};
    const uint64_t entry = sm_mask(format->flags & SM_PT_ENTRY32 ? 32 : 64);
    uint64_t used = format->present.mask | format->table.mask | format->user.mask;

    for (unsigned user = 0; user < 2; user++) {
        for (unsigned access = 0; access < SM_N_ACCESS; access++)
            used |= format->perm[user][access].mask;
    }
    if (format->group.mask & ~format->address_mask & used)
        return "the group's own bits overlap another field";
    used |= format->group.mask & ~format->address_mask;
    if ((used | format->reserved_table | format->reserved_alone) & ~entry)
        return "a field lies outside of the entry";
    for (unsigned i = 0; i < SM_ARRAY_LEN(field); i++) {
        if (field[i] & ~entry)
            return "a field lies outside of the entry";
        if (field[i] & used)
            return "two fields of an entry overlap";
        used |= field[i];
    }
    return NULL;
}

/** An entry that has nothing set but what marks a table: the walk takes it without a
 *  second look. */
static const char *check_table(const struct sm_pt_format *format)
{
    const uint64_t plain = format->table.value;
    bool wrong = !sm_pt_holds(&format->present, plain) ||
                 !sm_pt_holds(&format->table, plain) ||
                 sm_pt_marked(&format->global, plain) ||
                 (plain & (format->reserved | format->reserved_table |
                           format->reserved_alone | format->memtype));

    for (unsigned i = 0; i < SM_PT_MAX_BAD; i++)
        wrong = wrong || sm_pt_marked(&format->bad[i], plain);
    return wrong ? "an entry that does no more than name a table is not sound" : NULL;
}

static const char *check_address(const struct sm_pt_format *format)
{
    const unsigned page_bits = format->level[format->n_levels - 1].shift;
    const uint64_t mask = format->address_mask;

    if (!mask)
        return "no address field";
    if (format->address_shift <= -64 || format->address_shift >= 64)
        return "address_shift is out of range";
    if (format->address_shift > 0 && mask >> (64 - format->address_shift))
        return "the output address leaves 64 bits";

    const uint64_t reach = format->address_shift >= 0 ? mask << format->address_shift
                                                      : mask >> -format->address_shift;
    if (reach & sm_mask(page_bits))
        return "the output address reaches into the smallest page";
    if (format->memtype && format->memtype >> __builtin_ctzll(format->memtype) > 0xff)
        return "the memory type does not fit 8 bits";
    if (format->group.mask && page_bits + format->group_bits > 63)
        return "a group is larger than the address space";
    return NULL;
}

const char *sm_pt_format_check(const struct sm_pt_format *format)
{
    const char *wrong;

    if (format->struct_size != sizeof *format)
        return "struct_size is not that of this library";
    if ((wrong = check_levels(format)) || (wrong = check_tests(format)) ||
        (wrong = check_fields(format)) || (wrong = check_table(format)) ||
        (wrong = check_address(format)))
        return wrong;
    return format->name ? NULL : "no name";
}
