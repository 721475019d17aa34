/* SPDX-License-Identifier: MIT */
/* fuzz_main.h - runs a fuzz target without libFuzzer, on SM_FUZZ_RUNS inputs made up from
 * SM_SEED.
 *
 * With -DSM_LIBFUZZER it defines nothing: libFuzzer has its own main().  Else: four in
 * five inputs are patches ('P', then records of four bytes), the rest bytes.
 */
#ifndef TESTS_FUZZ_MAIN_H
#define TESTS_FUZZ_MAIN_H

#ifndef SM_LIBFUZZER
#include <stdio.h>

enum { FUZZ_RUNS = 3000, FUZZ_MAX = 256 };

int main(void)
{
    const char *given = getenv("SM_SEED"), *runs_text = getenv("SM_FUZZ_RUNS");
    uint64_t seed = given ? strtoull(given, NULL, 0) | 1 : 1;
    const unsigned long runs = runs_text ? strtoul(runs_text, NULL, 0) : FUZZ_RUNS;
    uint8_t input[FUZZ_MAX];

    printf("SM_SEED=%llu SM_FUZZ_RUNS=%lu\n", (unsigned long long)seed, runs);
    for (unsigned long run = 0; run < runs; run++) {
        size_t size = 0, wanted;
        for (size_t i = 0; i < sizeof input; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            input[i] = (uint8_t)(seed >> 32);
        }
        wanted = input[0] % 5 ? 1 + 4 * (input[1] % 6 + 1u) : input[1];
        if (input[0] % 5)
            input[0] = 'P';
        size = SM_MIN(wanted, sizeof input);
        (void)LLVMFuzzerTestOneInput(input, size);
    }
    return 0;
}
#endif

#endif
