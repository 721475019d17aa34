/* SPDX-License-Identifier: MIT */
/* golden_file.h - compares text with what a file says, line by line, or writes the file. */
#ifndef TESTS_RISCV_GOLDEN_FILE_H
#define TESTS_RISCV_GOLDEN_FILE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GOLDEN_LINES = 400, GOLDEN_CONTEXT = 3 };

struct golden_lines {
    char *text; /* cut at each line's end                                      */
    char *line[GOLDEN_LINES];
    unsigned n;
};

/** Cut @text, which becomes the lines', into those that do not begin with @left_out. */
static inline void golden_cut(struct golden_lines *lines, char *text, const char *left_out)
{
    lines->text = text;
    lines->n = 0;
    for (char *at = text, *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        if (!end || lines->n == GOLDEN_LINES) {
            lines->n = 0;
            return;
        }
        *end = '\0';
        if (!left_out || strncmp(at, left_out, strlen(left_out)))
            lines->line[lines->n++] = at;
    }
}

static inline char *golden_read(const char *path)
{
    FILE *from = fopen(path, "r"), *to;
    char *text = NULL;
    size_t size = 0;
    int c;

    if (!from)
        return NULL;
    to = open_memstream(&text, &size);
    while ((c = getc(from)) != EOF)
        putc(c, to);
    fclose(to);
    fclose(from);
    return text;
}

static inline bool golden_write(const char *path, const char *text)
{
    FILE *to = fopen(path, "w");

    if (!to) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    fputs(text, to);
    return fclose(to) == 0;
}

/** One line of a comparison. */
struct golden_step {
    char how; /* ' ', '-' or '+'                                               */
    const char *line;
    unsigned old, new; /* lines before it                                      */
};

/** Find the fewest lines that lead from @old to @new.  Returns  how many steps that is */
static inline unsigned golden_compare(const struct golden_lines *old,
                                      const struct golden_lines *new,
                                      struct golden_step *step)
{
    /* Lines in common, of what begins at [i] and [j]. */
    static unsigned short common[GOLDEN_LINES + 1][GOLDEN_LINES + 1];
    unsigned n = 0;

    for (unsigned i = old->n + 1; i-- > 0;)
        for (unsigned j = new->n + 1; j-- > 0;)
            common[i][j] = i == old->n || j == new->n ? 0
                           : !strcmp(old->line[i], new->line[j])
                               ? (unsigned short)(common[i + 1][j + 1] + 1)
                           : common[i + 1][j] > common[i][j + 1] ? common[i + 1][j]
                                                                 : common[i][j + 1];
    for (unsigned i = 0, j = 0; i < old->n || j < new->n; n++) {
        if (i < old->n && j < new->n && !strcmp(old->line[i], new->line[j])) {
            step[n] = (struct golden_step){' ', old->line[i], i, j};
            i++;
            j++;
        } else if (j == new->n || (i < old->n && common[i + 1][j] >= common[i][j + 1])) {
            step[n] = (struct golden_step){'-', old->line[i], i, j};
            i++;
        } else {
            step[n] = (struct golden_step){'+', new->line[j], i, j};
            j++;
        }
    }
    return n;
}

/** Print what differs, as a unified diff.  Returns  whether anything does */
static inline bool golden_diff(const char *path, const struct golden_lines *old,
                               const struct golden_lines *new, FILE *to)
{
    static struct golden_step step[2 * GOLDEN_LINES];
    const unsigned n = golden_compare(old, new, step);
    unsigned told = 0;
    bool differs = false;

    for (unsigned i = 0; i < n; i++) {
        unsigned from, end, counts[2] = {0, 0};

        if (step[i].how == ' ')
            continue;
        if (!differs)
            fprintf(to, "--- %s\n+++ now\n", path);
        differs = true;
        from = i > told + GOLDEN_CONTEXT ? i - GOLDEN_CONTEXT : told;
        for (end = i; i < n && i <= end + 2 * GOLDEN_CONTEXT; i++)
            if (step[i].how != ' ')
                end = i;
        told = end + 1 + GOLDEN_CONTEXT < n ? end + 1 + GOLDEN_CONTEXT : n;
        for (unsigned k = from; k < told; k++) {
            counts[0] += step[k].how != '+';
            counts[1] += step[k].how != '-';
        }
        fprintf(to, "@@ -%u,%u +%u,%u @@\n", step[from].old + 1, counts[0],
                step[from].new + 1, counts[1]);
        for (unsigned k = from; k < told; k++)
            fprintf(to, "%c%s\n", step[k].how, step[k].line);
        i = told - 1;
    }
    return differs;
}

#endif
