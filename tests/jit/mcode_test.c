/* SPDX-License-Identifier: MIT */
/* mcode_test.c - code is written at one address and runs at another, where it cannot be
 * written; what is forgotten goes back to the host. */
#include "../base/test.h"

#include "jit/mcode.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 1 << 20 };

/* Code that returns @n. */
static size_t write_code(uint8_t *at, uint16_t n)
{
#if defined(__x86_64__)
    const uint8_t code[6] = {0xb8, (uint8_t)n, (uint8_t)(n >> 8), 0, 0, 0xc3};
#elif defined(__aarch64__)
    const uint32_t code[2] = {0x52800000 | (uint32_t)n << 5, 0xd65f03c0};
#elif defined(__riscv)
    const uint32_t code[2] = {0x00000513 | (uint32_t)n << 20, 0x00008067};
#else
#error "no code for this host"
#endif
    memcpy(at, code, sizeof(code));
    return sizeof(code);
}

static int run_code(const struct jit_mcode *code, const uint8_t *written, size_t size)
{
    const void *run = jit_mcode_run(code, written);
    int (*function)(void);

    jit_mcode_publish(code, written, size);
    memcpy(&function, &run, sizeof(function));
    return function();
}

static void runs_where_it_cannot_be_written(void **state)
{
    struct jit_mcode code;
    char line[512];
    unsigned n_write = 0, n_run = 0;
    bool named = false;

    assert_int_equal(jit_mcode_map(&code, SIZE, "softmmu-test"), 0);
    assert_int_equal(code.size, SIZE);
    assert_int_equal(code.used, 0);
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t *at = code.write + i * 997;
        assert_int_equal(run_code(&code, at, write_code(at, (uint16_t)i)), i);
        /* Again at the same place: no host may run what was there. */
        assert_int_equal(run_code(&code, at, write_code(at, (uint16_t)(i + 1))), i + 1);
        assert_ptr_equal(jit_mcode_run(&code, at), code.run + i * 997);
        assert_ptr_equal(jit_mcode_write(&code, code.run + i * 997), at);
        assert_memory_equal(at, code.run + i * 997, 6);
    }

    /* The host refuses to write there, and no mapping is both. */
    const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(zeros, code.run, 1), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(read(zeros, code.write + SIZE - 1, 1), 1);
    close(zeros);
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long first, end;
        char mode[8];
        assert_int_equal(sscanf(line, "%lx-%lx %7s", &first, &end, mode), 3);
        assert_false(mode[1] == 'w' && mode[2] == 'x');
        if (first <= (uintptr_t)code.write && end >= (uintptr_t)code.write + SIZE) {
            assert_string_equal(mode, "rw-s");
            named = strstr(line, "softmmu-test");
            n_write++;
        } else if (first <= (uintptr_t)code.run && end >= (uintptr_t)code.run + SIZE) {
            assert_string_equal(mode, "r-xs");
            assert_non_null(strstr(line, " /dev/zero")); /* what perf looks for */
            n_run++;
        }
    }
    printf("the host %s such memory\n", named ? "names" : "has no names for");
    fclose(maps);
    assert_int_equal(n_write, 1);
    assert_int_equal(n_run, 1);
    jit_mcode_unmap(&code);
    assert_null(code.write);
    jit_mcode_unmap(&code); /* does nothing */
}

static size_t resident(const struct jit_mcode *code)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = code->size / page;
    unsigned char *in = calloc(n, 1);
    size_t count = 0;

    assert_int_equal(mincore(code->write, code->size, in), 0);
    for (size_t i = 0; i < n; i++)
        count += in[i] & 1;
    free(in);
    return count;
}

static void memory_goes_back(void **state)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t keeps[] = {0, 1, page - 1, page, page + 1, SIZE / 2, SIZE - 1, SIZE};
    struct jit_mcode code;

    assert_int_equal(jit_mcode_map(&code, SIZE, "softmmu-test"), 0);
    assert_int_equal(resident(&code), 0);
    for (size_t i = 0; i < sizeof(keeps) / sizeof(keeps[0]); i++) {
        memset(code.write, 0xa5, SIZE);
        code.used = SIZE;
        assert_int_equal(resident(&code), SIZE / page);
        jit_mcode_reset(&code, keeps[i]);
        assert_int_equal(code.used, keeps[i]);
        assert_int_equal(resident(&code), (keeps[i] + page - 1) / page);
        for (size_t k = 0; k < SIZE; k++)
            if (code.write[k] != (k < keeps[i] ? 0xa5 : 0) ||
                code.run[k] != code.write[k])
                fail();
        uint8_t *at = code.write + (SIZE - 64);
        assert_int_equal(run_code(&code, at, write_code(at, 77)), 77);
        jit_mcode_reset(&code, 0);
        assert_int_equal(resident(&code), 0);
    }
    jit_mcode_unmap(&code);
}

static void errors(void **state)
{
    struct jit_mcode code = {.used = 42};

    /* No host has this much. */
    assert_int_equal(jit_mcode_map(&code, (size_t)1 << 60, "softmmu-test"), -ENOMEM);
    assert_int_equal(jit_mcode_map(&code, SIZE_MAX & ~(size_t)0xfff, "softmmu-test"),
                     -ENOMEM);
    assert_int_equal(code.used, 42);
}

/* A host that refuses executable memory, as hardened ones do. */
static void refused(void **state)
{
    const pid_t child = fork();
    int status;

    if (child == 0) {
        struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
            BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]),
                                     .filter = filter};
        struct jit_mcode code = {.used = 42};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
            _exit(77);
        const int error = jit_mcode_map(&code, SIZE, "softmmu-test");
        _exit(error == -EACCES && code.used == 42 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_where_it_cannot_be_written),
        cmocka_unit_test(memory_goes_back),
        cmocka_unit_test(errors),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
