/* SPDX-License-Identifier: MIT */
/* kernels.c - the same C for the guest and for the host: kernels NAME TIMES prints a checksum.
 *
 * Built by gcc -O2 -ffp-contract=off on both sides: a product and a sum round twice.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

enum {
    SIDE = 96
};

static uint64_t integers(unsigned times)
{
    static int64_t a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

    for (int i = 0; i < SIDE * SIDE; i++) {
        a[i / SIDE][i % SIDE] = (int64_t)(next() & 0xffff);
        b[i / SIDE][i % SIDE] = (int64_t)(next() & 0xffff);
    }
    while (times--) {
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                int64_t sum = 0;
                for (int k = 0; k < SIDE; k++)
                    sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++)
                a[i][j] = c[i][j] & 0xffff;
    }
    return (uint64_t)c[SIDE / 2][SIDE / 3];
}

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint64_t doubles(unsigned times)
{
    static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

    for (int i = 0; i < SIDE * SIDE; i++) {
        a[i / SIDE][i % SIDE] = (double)(next() & 0xffff) / 65536;
        b[i / SIDE][i % SIDE] = (double)(next() & 0xffff) / 65536 / SIDE;
    }
    while (times--) {
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                double sum = 0;
                for (int k = 0; k < SIDE; k++)
                    sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
        memcpy(a, c, sizeof(a));
    }
    return bits_of(c[SIDE / 2][SIDE / 3]);
}

static uint64_t bodies(unsigned times)
{
    double x[5][3], v[5][3], m[5];

    for (int i = 0; i < 5; i++) {
        m[i] = 1.0 + i;
        for (int k = 0; k < 3; k++) {
            x[i][k] = (double)(next() & 0xffff) / 4096;
            v[i][k] = (double)(next() & 0xffff) / 1e6;
        }
    }
    while (times--) {
        for (int i = 0; i < 5; i++)
            for (int j = i + 1; j < 5; j++) {
                double d[3], square = 0.01;
                for (int k = 0; k < 3; k++) {
                    d[k] = x[i][k] - x[j][k];
                    square += d[k] * d[k];
                }
                const double force = 0.001 / (square * sqrt(square));
                for (int k = 0; k < 3; k++) {
                    v[i][k] -= d[k] * m[j] * force;
                    v[j][k] += d[k] * m[i] * force;
                }
            }
        for (int i = 0; i < 5; i++)
            for (int k = 0; k < 3; k++)
                x[i][k] += 0.001 * v[i][k];
    }
    return bits_of(x[0][0] + x[4][2]);
}

static uint32_t rotate(uint32_t word, unsigned by)
{
    return word >> by | word << (32 - by);
}

/* The function's rounds with constants from the generator: a checksum, no digest. */
static uint64_t hash(unsigned times)
{
    uint32_t k[64], h[8], w[64];

    for (int i = 0; i < 64; i++)
        k[i] = (uint32_t)next();
    for (int i = 0; i < 8; i++)
        h[i] = (uint32_t)next();
    while (times--)
        for (uint32_t block = 0; block < 256; block++) {
            uint32_t s[8];
            for (uint32_t i = 0; i < 16; i++)
                w[i] = block * 2654435761u + i;
            for (int i = 16; i < 64; i++)
                w[i] = w[i - 16] + w[i - 7] +
                       (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
                       (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
            memcpy(s, h, sizeof(s));
            for (int i = 0; i < 64; i++) {
                const uint32_t one = s[7] + k[i] + w[i] + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                                     (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25));
                const uint32_t two = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                                     ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
                memmove(s + 1, s, 7 * sizeof(s[0]));
                s[4] += one;
                s[0] = one + two;
            }
            for (int i = 0; i < 8; i++)
                h[i] += s[i];
        }
    return (uint64_t)h[0] << 32 | h[7];
}

/* A program that counts and adds, in an invented byte code. */
static uint64_t machine(unsigned times)
{
    enum {
        LOAD, ADD, XOR, SHIFT, LESS, JUMP_IF, MOVE, STOP
    };
    static const uint8_t program[][4] = {
        {LOAD, 0, 0, 0},   {LOAD, 1, 7, 0},  {LOAD, 2, 1, 0},  {LOAD, 3, 200, 0},
        {ADD, 1, 1, 0},    {XOR, 4, 1, 0},   {SHIFT, 5, 4, 3}, {ADD, 1, 1, 5},
        {MOVE, 6, 1, 0},   {XOR, 1, 6, 3},   {ADD, 0, 0, 2},   {SHIFT, 7, 3, 8},
        {LESS, 5, 0, 7},   {JUMP_IF, 5, 4, 0}, {STOP, 0, 0, 0}};
    uint64_t r[8] = {0};

    while (times--)
        for (unsigned at = 0; program[at][0] != STOP; at++) {
            const uint8_t *op = program[at];
            switch (op[0]) {
            case LOAD:
                r[op[1]] = op[2];
                break;
            case ADD:
                r[op[1]] = r[op[2]] + r[op[3]];
                break;
            case XOR:
                r[op[1]] = r[op[2]] ^ r[op[3]];
                break;
            case SHIFT:
                r[op[1]] = op[3] & 1 ? r[op[2]] >> op[3] : r[op[2]] << op[3];
                break;
            case LESS:
                r[op[1]] = r[op[2]] < r[op[3]];
                break;
            case MOVE:
                r[op[1]] = r[op[2]];
                break;
            default:
                if (r[op[1]])
                    at = op[2] - 1u;
            }
        }
    return r[1];
}

__attribute__((noinline)) static uint64_t fibonacci_of(unsigned n)
{
    return n < 2 ? n : fibonacci_of(n - 1) + fibonacci_of(n - 2);
}

static uint64_t fibonacci(unsigned n)
{
    return fibonacci_of(n);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Not the C library's, which is another one on each side. */
static void sort(uint64_t *at, size_t n, int (*compare)(const void *, const void *))
{
    while (n > 1) {
        const uint64_t pivot = at[(n - 1) / 2];
        size_t i = 0, j = n - 1;
        for (;;) {
            while (compare(&at[i], &pivot) < 0)
                i++;
            while (compare(&at[j], &pivot) > 0)
                j--;
            if (i >= j)
                break;
            const uint64_t kept = at[i];
            at[i++] = at[j];
            at[j--] = kept;
        }
        sort(at + j + 1, n - j - 1, compare);
        n = j + 1;
    }
}

static uint64_t sorting(unsigned times)
{
    static uint64_t values[100000];
    const size_t n = sizeof(values) / sizeof(values[0]);
    uint64_t sum = 0;

    while (times--) {
        for (size_t i = 0; i < n; i++)
            values[i] = next();
        sort(values, n, by_value);
        for (size_t i = 1; i < n; i++)
            sum += values[i] >= values[i - 1] ? values[i] ^ i : 1;
    }
    return sum;
}

struct node {
    struct node *next;
    uint64_t value;
};

static uint64_t lists(unsigned times)
{
    const size_t n = 1 << 18;
    struct node *const nodes = calloc(n, sizeof(*nodes));
    uint64_t sum = 0;

    if (!nodes)
        exit(1);
    for (size_t i = 0; i < n; i++) {
        nodes[i].next = &nodes[(i * 5 + 77731) & (n - 1)];
        nodes[i].value = next();
    }
    while (times--) {
        const struct node *node = nodes;
        for (size_t i = 0; i < n; i++, node = node->next)
            sum = sum * 31 + node->value;
    }
    free(nodes);
    return sum;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint64_t (*run)(unsigned times);
    } kernels[] = {{"integers", integers}, {"doubles", doubles}, {"bodies", bodies},
                   {"hash", hash}, {"machine", machine}, {"fibonacci", fibonacci},
                   {"sorting", sorting}, {"lists", lists}};

    for (size_t i = 0; argc == 3 && i < sizeof(kernels) / sizeof(kernels[0]); i++)
        if (!strcmp(argv[1], kernels[i].name)) {
            printf("%s %016" PRIx64 "\n", argv[1], kernels[i].run((unsigned)atoi(argv[2])));
            return 0;
        }
    fprintf(stderr, "usage: kernels NAME TIMES\n");
    return 2;
}
