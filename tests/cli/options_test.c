/* SPDX-License-Identifier: MIT */
/* options_test.c - every spelling of an option gives its field, every error its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib.h>

#include "base/base.h"
#include "cli/options.h"

static GString *printed, *warned;

static void on_print(const char *text)
{
    g_string_append(printed, text);
}

static void on_warn(const char *text)
{
    g_string_append(warned, text);
}

struct outcome {
    struct machine_config config;
    enum options_action action;
    char *error;
    int result;
};

static struct outcome parse_as(const char *program, const char *line)
{
    struct outcome outcome = {.error = NULL};
    char *text = g_strdup_printf("%s %s", program, line);
    char **argv;
    int argc;

    g_string_truncate(printed, 0);
    g_string_truncate(warned, 0);
    assert_true(g_shell_parse_argv(text, &argc, &argv, NULL));
    outcome.result = options_parse(argc, argv, &outcome.config, &outcome.action,
                                   &outcome.error);
    assert_true(outcome.result == 0 || outcome.error);
    assert_true(outcome.result != 0 || !outcome.error);
    g_strfreev(argv);
    g_free(text);
    return outcome;
}

static struct outcome parse(const char *line)
{
    return parse_as("/usr/bin/softmmu-system-riscv64", line);
}

static void finish(struct outcome *outcome)
{
    g_free(outcome->error);
    options_fini(&outcome->config);
}

/* --- A configuration in words, defaults left out -------------------------------- */

static void say_text(GString *out, const char *name, const char *value)
{
    if (value)
        g_string_append_printf(out, " %s=%s", name, value);
}

static void say_flag(GString *out, const char *name, bool value)
{
    if (value)
        g_string_append_printf(out, " %s", name);
}

static void say_drive(GString *out, const struct machine_drive *drive)
{
    g_string_append_printf(out, " drive(%s %s", drive->id, drive->file);
    say_flag(out, "readonly", drive->readonly);
    say_flag(out, "snapshot", drive->snapshot);
    say_flag(out, "writethrough", drive->writethrough);
    say_flag(out, "direct", drive->direct);
    say_flag(out, "no_flush", drive->no_flush);
    say_flag(out, "threads", drive->threads);
    g_string_append(out, ")");
}

static void say_device(GString *out, const struct machine_device *device)
{
    static const char *const kinds[] = {"blk", "rng", "loader"};

    g_string_append_printf(out, " %s(", kinds[device->kind]);
    if (device->slot >= 0)
        g_string_append_printf(out, "%d", device->slot);
    say_text(out, "id", device->id);
    say_text(out, "drive", device->drive);
    say_text(out, "rng", device->rng_file);
    say_text(out, "serial", device->serial);
    say_text(out, "file", device->file);
    if (device->has_addr)
        g_string_append_printf(out, " addr=0x%llx", (unsigned long long)device->addr);
    if (device->data_size)
        g_string_append_printf(out, " data=0x%llx/%u", (unsigned long long)device->data,
                               device->data_size);
    say_flag(out, "raw", device->force_raw);
    say_flag(out, "be", device->big_endian);
    g_string_append(out, ")");
}

static void say_serial(GString *out, const struct machine_serial *serial)
{
    static const char *const kinds[] = {"null", "stdio", "file"};

    g_string_append_printf(out, " serial(%s", kinds[serial->kind]);
    say_flag(out, "mux", serial->mux);
    say_flag(out, "signals", serial->signals);
    say_text(out, "path", serial->path);
    say_flag(out, "append", serial->append);
    if (serial->escape)
        g_string_append_printf(out, " escape=%d", serial->escape);
    g_string_append(out, ")");
}

static void say_number(GString *out, const char *name, uint64_t value)
{
    if (value)
        g_string_append_printf(out, " %s=%llu", name, (unsigned long long)value);
}

static void say_jit(GString *out, const struct machine_jit *jit)
{
    say_flag(out, "interpret", jit->off);
    say_number(out, "jit-flags", jit->flags);
    say_number(out, "jit-without", jit->without);
    say_number(out, "seed", jit->seed);
    say_number(out, "heat", jit->heat);
    say_number(out, "code", jit->code_size);
    say_number(out, "log", jit->log_items);
    say_text(out, "D", jit->log_file);
    say_flag(out, "perfmap", jit->perfmap);
    say_flag(out, "gdb", jit->gdb);
}

static char *describe(const struct machine_config *config)
{
    GString *out = g_string_new(config->board);

    if (config->ram_size != 128 << 20)
        g_string_append_printf(out, " m=%llu", (unsigned long long)config->ram_size);
    if (config->n_harts != 1)
        g_string_append_printf(out, " smp=%u", config->n_harts);
    if (strcmp(config->cpu_model, "rv64") != 0)
        say_text(out, "cpu", config->cpu_model);
    say_text(out, "bios", config->bios);
    say_text(out, "kernel", config->kernel);
    say_text(out, "initrd", config->initrd);
    say_text(out, "append", config->append);
    say_text(out, "dtb", config->dtb);
    say_text(out, "dumpdtb", config->dumpdtb);
    say_text(out, "dump-mtree", config->dump_mtree);
    if (config->explain)
        g_string_append_printf(out, " explain=0x%llx",
                               (unsigned long long)config->explain_gpa);
    say_text(out, "pidfile", config->pidfile);
    say_flag(out, "aclint", config->aclint);
    say_flag(out, "modern", !config->force_legacy);
    say_flag(out, "no_reboot", config->no_reboot);
    say_flag(out, "no_shutdown", config->no_shutdown);
    say_flag(out, "single", config->single_thread);
    say_flag(out, "tlb-check", config->stale.check);
    say_flag(out, "stop", config->stale.stop);
    say_flag(out, "suspect", config->stale.suspect);
    say_flag(out, "json", config->stale.json);
    say_flag(out, "tlb-stale", config->stale.keep);
    if (config->stale.sample)
        g_string_append_printf(out, " sample=%u", config->stale.sample);
    say_flag(out, "lrsc-exact", config->exact_lrsc);
    say_flag(out, "code-immediate", config->check_code);
    say_flag(out, "code-all", config->compare_all);
    say_jit(out, &config->jit);
    say_flag(out, "stats", config->print_stats);
    for (unsigned i = 0; config->search && config->search[i]; i++)
        say_text(out, "L", config->search[i]);
    for (unsigned i = 0; i < config->n_drives; i++)
        say_drive(out, &config->drives[i]);
    for (unsigned i = 0; i < config->n_devices; i++)
        say_device(out, &config->devices[i]);
    for (unsigned i = 0; i < config->n_serials; i++)
        say_serial(out, &config->serial[i]);
    return g_string_free(out, FALSE);
}

/* Every line has -display none in front, which leaves the serial line out. */
static const struct {
    const char *line, *config;
} accepted[] = {
    {"", "spike"},
    {"-M virt", "virt"},
    {"--machine virt", "virt"},
    {"-machine type=virt", "virt"},
    {"-M spike -M virt", "virt"},
    {"-M virt,aclint=on", "virt aclint"},
    {"-M virt -machine aclint=on -machine dumpdtb=a.dtb", "virt dumpdtb=a.dtb aclint"},
    {"-M virt,aclint=on -M aclint=off", "virt"},
    {"-M virt,aia=none,acpi=off,usb=off,iommu-sys=off,graphics=on", "virt"},
    {"-M virt,acpi=auto,dump-guest-core=off,mem-merge=off", "virt"},
    {"-M virt,accel=tcg", "virt"},
    {"-M virt,accel=kvm:tcg", "virt"},
    {"-M virt,kernel=K,initrd=I,append=A,dtb=D,firmware=F",
     "virt bios=F kernel=K initrd=I append=A dtb=D"},
    {"-M virt,dumpdtb=a,,b", "virt dumpdtb=a,b"},
    {"-M virt,dump-mtree=a,explain=0x10000000", "virt dump-mtree=a explain=0x10000000"},
    {"-M spike -machine explain=12 -machine explain=0", "spike explain=0x0"},
    /* Memory. */
    {"-m 256", "spike m=268435456"},
    {"-m 256M", "spike m=268435456"},
    {"-m 256m", "spike m=268435456"},
    {"-m 2G", "spike m=2147483648"},
    {"-m 1.5G", "spike m=1610612736"},
    {"-m 262144k", "spike m=268435456"},
    {"-m 1T", "spike m=1099511627776"},
    {"-m 268435456b", "spike m=268435456"},
    {"-m 1b", "spike m=8192"},
    {"-m size=3072", "spike m=3221225472"},
    {"-m size=3072M", "spike m=3221225472"},
    {"-m size=1G,slots=2,maxmem=4G", "spike m=1073741824"},
    {"-m 1G,slots=0", "spike m=1073741824"},
    {"-m 64 -m 512", "spike m=536870912"},
    /* Harts. */
    {"-smp 4", "spike smp=4"},
    {"-smp cpus=4", "spike smp=4"},
    {"-smp 2,maxcpus=4", "spike smp=2"},
    {"-smp maxcpus=4", "spike smp=4"},
    {"-smp sockets=2,cores=3", "spike smp=6"},
    {"-smp 8,sockets=2,cores=2,threads=2", "spike smp=8"},
    {"-smp 4,cores=2", "spike smp=4"},
    {"-smp 4,threads=2", "spike smp=4"},
    {"-smp 4,cores=2,sockets=1", "spike smp=4"},
    {"-smp 4,dies=1,clusters=1", "spike smp=4"},
    {"-smp 512", "spike smp=512"},
    {"-cpu max", "spike cpu=max"},
    {"-cpu rv64,zba=on,zbb=true,", "spike"},
    {"-cpu foo -cpu rv64", "spike"},
    /* What is loaded. */
    {"-bios none -kernel k -initrd i -append 'a b,c' -dtb d",
     "spike bios=none kernel=k initrd=i append=a b,c dtb=d"},
    {"--bios b --kernel k", "spike bios=b kernel=k"},
    {"-kernel a -kernel b", "spike kernel=b"},
    {"-L /a -L /b", "spike L=/a L=/b"},
    /* Drives. */
    {"-drive file=d,if=none,format=raw,id=x", "spike drive(x d)"},
    {"-drive file=a,,b,if=none,format=raw,id=x", "spike drive(x a,b)"},
    {"-drive file=d,if=none,format=raw,id=x,readonly=on", "spike drive(x d readonly)"},
    {"-drive file=d,if=none,format=raw,id=x,read-only=on", "spike drive(x d readonly)"},
    {"-drive file=d,if=none,format=raw,id=x,readonly=off", "spike drive(x d)"},
    {"-drive file=d,if=none,format=raw,id=x,readonly", "spike drive(x d readonly)"},
    {"-drive file=d,if=none,format=raw,id=x,media=cdrom", "spike drive(x d readonly)"},
    {"-drive file=d,if=none,format=raw,id=x,snapshot=on", "spike drive(x d snapshot)"},
    {"-snapshot -drive file=d,if=none,format=raw,id=x", "spike drive(x d snapshot)"},
    {"-drive file=d,if=none,format=raw,id=x -snapshot", "spike drive(x d snapshot)"},
    {"-drive file=d,if=none,format=raw,id=x,cache=none", "spike drive(x d direct)"},
    {"-drive file=d,if=none,format=raw,id=x,cache=off", "spike drive(x d direct)"},
    {"-drive file=d,if=none,format=raw,id=x,cache=writeback", "spike drive(x d)"},
    {"-drive file=d,if=none,format=raw,id=x,cache=writethrough",
     "spike drive(x d writethrough)"},
    {"-drive file=d,if=none,format=raw,id=x,cache=directsync",
     "spike drive(x d writethrough direct)"},
    {"-drive file=d,if=none,format=raw,id=x,cache=unsafe", "spike drive(x d no_flush)"},
    {"-drive file=d,if=none,format=raw,id=x,cache.direct=on", "spike drive(x d direct)"},
    {"-drive file=d,if=none,format=raw,id=x,aio=threads", "spike drive(x d threads)"},
    {"-drive file=d,if=none,format=raw,id=x,aio=native", "spike drive(x d)"},
    {"-drive file=d,if=none,format=raw,id=x,aio=io_uring", "spike drive(x d)"},
    {"-drive file=d,if=none,driver=raw,id=x,discard=unmap,detect-zeroes=off,"
     "werror=report,rerror=report,media=disk,index=3",
     "spike drive(x d)"},
    {"-drive file=d,if=virtio,format=raw",
     "spike drive(#virtio0 d) blk( drive=#virtio0)"},
    {"-drive file=d,if=virtio,format=raw,id=x,index=1,media=disk,cache=none",
     "spike drive(x d direct) blk( drive=x)"},
    {"-drive file=d,if=virtio,format=raw,bus=0,unit=1",
     "spike drive(#virtio0 d) blk( drive=#virtio0)"},
    {"-drive file=a,if=virtio,format=raw -drive file=b,if=virtio,format=raw",
     "spike drive(#virtio0 a) drive(#virtio1 b) blk( drive=#virtio0) "
     "blk( drive=#virtio1)"},
    /* Devices. */
    {"-drive file=d,if=none,format=raw,id=x -device virtio-blk-device,drive=x",
     "spike drive(x d) blk( drive=x)"},
    {"-device virtio-blk-device,drive=x -drive file=d,format=raw,id=x",
     "spike drive(x d) blk( drive=x)"},
    {"-device driver=virtio-blk-device,drive=x,bus=virtio-mmio-bus.0,id=disk,serial=S1 "
     "-drive file=d,format=raw,id=x",
     "spike drive(x d) blk(0 id=disk drive=x serial=S1)"},
    {"-device virtio-blk-device,drive=x,write-cache=off,bootindex=0,num-queues=1,"
     "queue-size=64,logical_block_size=512,packed=off,discard=off,event_idx=on "
     "-drive file=d,format=raw,id=x",
     "spike drive(x d writethrough) blk( drive=x)"},
    {"-device virtio-rng-device", "spike rng( rng=/dev/urandom)"},
    {"-device virtio-rng-device,bus=virtio-mmio-bus.7 -device virtio-rng-device",
     "spike rng(7 rng=/dev/urandom) rng( rng=/dev/urandom)"},
    {"-device virtio-rng-device,rng=r,max-bytes=1024,period=1000 "
     "-object rng-random,filename=/dev/random,id=r",
     "spike rng( rng=/dev/random)"},
    {"-object rng-random,id=r -device virtio-rng-device,rng=r,id=q",
     "spike rng( id=q rng=/dev/urandom)"},
    {"-object rng-builtin,id=r -device virtio-rng-device,rng=r",
     "spike rng( rng=/dev/urandom)"},
    {"-device loader,file=f,addr=0x80200000", "spike loader( file=f addr=0x80200000)"},
    {"-device loader,file=f", "spike loader( file=f)"},
    {"-device loader,file=f,addr=4096,force-raw=on",
     "spike loader( file=f addr=0x1000 raw)"},
    {"-device loader,addr=0x1000,data=0x12345678,data-len=4",
     "spike loader( addr=0x1000 data=0x12345678/4)"},
    {"-device loader,addr=0x1000,data=1,data-len=8,data-be=on",
     "spike loader( addr=0x1000 data=0x1/8 be)"},
    {"-global virtio-mmio.force-legacy=false", "spike modern"},
    {"-global virtio-mmio.force-legacy=off -global virtio-mmio.force-legacy=on", "spike"},
    {"-global driver=virtio-mmio,property=force-legacy,value=off", "spike modern"},
    /* Serial. */
    {"-serial stdio", "spike serial(stdio signals)"},
    {"-serial mon:stdio", "spike serial(stdio mux)"},
    {"-serial null", "spike serial(null)"},
    {"-serial none", "spike serial(null)"},
    {"-serial vc", "spike serial(null)"},
    {"-serial file:/tmp/x,y", "spike serial(file path=/tmp/x,y)"},
    {"-serial stdio -serial null", "spike serial(stdio signals)"},
    {"-nographic", "spike serial(stdio mux)"},
    {"-nographic -serial mon:stdio", "spike serial(stdio mux)"},
    {"-nographic -serial stdio", "spike serial(stdio signals)"},
    {"-nographic -serial null", "spike serial(null)"},
    {"-nographic -nodefaults", "spike"},
    {"-nographic -echr 2", "spike serial(stdio mux escape=2)"},
    {"-echr 0x14 -serial mon:stdio", "spike serial(stdio mux escape=20)"},
    {"-chardev stdio,id=c,mux=on -serial chardev:c", "spike serial(stdio mux signals)"},
    {"-serial chardev:c -chardev stdio,id=c,mux=on,signal=off",
     "spike serial(stdio mux)"},
    {"-chardev stdio,id=c -serial chardev:c", "spike serial(stdio signals)"},
    {"-chardev file,id=c,path=/tmp/x,append=on -serial chardev:c",
     "spike serial(file path=/tmp/x append)"},
    {"-chardev null,id=c -serial chardev:c", "spike serial(null)"},
    {"-chardev stdio,id=c,mux=on -serial chardev:c -mon chardev=c,mode=readline",
     "spike serial(stdio mux signals)"},
    {"-chardev stdio,id=c,mux=on -serial chardev:c -mon c",
     "spike serial(stdio mux signals)"},
    /* Small things. */
    {"-no-reboot -no-shutdown -no-user-config -nodefaults",
     "spike no_reboot no_shutdown"},
    {"--no-reboot", "spike no_reboot"},
    {"-rtc base=utc", "spike"},
    {"-rtc base=utc,clock=host,driftfix=slew", "spike"},
    {"-net none -nic none -vga none -display none -monitor none -qmp none", "spike"},
    {"-accel tcg", "spike"},
    {"-accel tcg,thread=multi", "spike"},
    {"-accel tcg,thread=single", "spike single"},
    {"-accel accel=tcg,tb-size=64,split-wx=off", "spike code=67108864"},
    {"-accel tcg,tb-size=0", "spike"},
    {"-accel tcg,tb-size=18446744073709551615", "spike code=1073741824"},
    {"-accel tcg,jit=off", "spike interpret"},
    {"-accel tcg,nojit", "spike interpret"},
    {"-accel tcg,jit=off,jit=on", "spike"},
    {"-accel tcg,jit-fold=off", "spike jit-without=1"},
    {"-accel tcg,jit-dead=off,jit-fold=off,jit-fold=on", "spike jit-without=2"},
    {"-accel tcg,jit-link=off", "spike jit-flags=1"},
    {"-accel tcg,jit-returns=off", "spike jit-flags=2"},
    {"-accel tcg,jit-pins=off", "spike jit-flags=4"},
    {"-accel tcg,jit-jumps=off", "spike jit-flags=8"},
    {"-accel tcg,jit-checks=off,jit-link=on", "spike jit-without=4"},
    {"-accel tcg,jit-near=off", "spike jit-flags=16"},
    {"-perfmap", "spike perfmap"},
    {"-accel tcg,jit-gdb=on", "spike gdb"},
    {"-accel tcg,jit-gdb=on,jit-gdb=off", "spike"},
    {"-accel tcg,jit-seed=7,jit-heat=1", "spike seed=7 heat=1"},
    {"-d in_asm,op", "spike log=3"},
    {"-d out_asm -d exec -D file", "spike log=12 D=file"},
    {"-d nochain", "spike jit-flags=11"},
    {"-accel tcg,tlb-check=off", "spike"},
    {"-accel tcg,tlb-check=report", "spike tlb-check"},
    {"-accel tcg,tlb-check=stop,tlb-check-suspect=on,tlb-check-sample=16,thread=single",
     "spike single tlb-check stop suspect sample=16"},
    {"-accel tcg,tlb-check=stop,tlb-check=report,tlb-check-json=on,tlb-stale=on",
     "spike tlb-check json tlb-stale"},
    {"-accel tcg,lrsc=exact,code-check=immediate", "spike lrsc-exact code-immediate"},
    {"-accel tcg,lrsc=exact,code-check=fence,lrsc=value", "spike"},
    {"-accel tcg,code-watch=off", "spike code-all"},
    {"-accel tcg,code-watch=off,code-watch=on", "spike"},
    {"-accel kvm -accel hvf -accel tcg", "spike"},
    {"-accel tcg -accel kvm", "spike"},
    {"-name n,process=p -uuid 12345678-1234-1234-1234-123456789abc -D log", "spike D=log"},
    {"-pidfile p -stats", "spike pidfile=p stats"},
};

static void accepts_every_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_ARRAY_LEN(accepted); i++) {
        char *line = g_strconcat("-display none ", accepted[i].line, NULL);
        struct outcome outcome = parse(line);
        char *text;

        if (outcome.result)
            fail_msg("%s\n  gives: %s", accepted[i].line, outcome.error);
        assert_int_equal(outcome.action, OPTIONS_RUN);
        text = describe(&outcome.config);
        if (strcmp(text, accepted[i].config) != 0)
            fail_msg("%s\n  is:     %s\n  should: %s", accepted[i].line, text,
                     accepted[i].config);
        g_free(text);
        g_free(line);
        finish(&outcome);
    }
}

/* The line is as long as the message's: "-M foo" and so on. */
static const struct {
    const char *line, *error;
} refused[] = {
    {"-foo", "-foo: invalid option"},
    {"--foo=1", "--foo=1: invalid option"},
    {"-", "-: invalid option"},
    {"--", "--: invalid option"},
    {"---m 2", "---m: invalid option"},
    {"-m", "-m: requires an argument"},
    {"--bios", "--bios: requires an argument"},
    {"disk.img", "disk.img: a disk image is given as -drive file=disk.img,..."},
    {"-hda d", "-hda: this option is not available"},
    {"-gdb tcp::1", "-gdb: this option is not available"},
    {"-s", "-s: this option is not available"},
    {"-S", "-S: this option is not available"},
    {"-netdev user,id=n", "-netdev: this option is not available"},
    {"-M foo",
     "unsupported machine type: \"foo\" (use -machine help to list supported machines)"},
    {"-M virt,foo=1", "Property 'virt-machine.foo' not found"},
    {"-M virt,foo", "-M virt,foo: Expected '=' after parameter 'foo'"},
    {"-M virt,aclint=maybe", "Parameter 'aclint' expects 'on' or 'off'"},
    {"-M spike,aclint=on", "Property 'spike-machine.aclint' not found"},
    {"-M aclint=on", "Property 'spike-machine.aclint' not found"},
    {"-M virt,aia=foo", "Invalid AIA interrupt controller type 'foo': "
                        "valid values are none, aplic, and aplic-imsic"},
    {"-M virt,aia=aplic",
     "-M virt,aia=aplic: machine property 'aia=aplic' is not available"},
    {"-M virt,acpi=foo", "Parameter 'acpi' does not accept value 'foo'"},
    {"-M virt,acpi=on", "-M virt,acpi=on: machine property 'acpi=on' is not available"},
    {"-M virt,explain=here",
     "-M virt,explain=here: Parameter 'explain' expects integer"},
    {"-M virt,explain=", "-M virt,explain=: Parameter 'explain' expects integer"},
    {"-M virt,usb=foo", "Parameter 'usb' expects 'on' or 'off'"},
    {"-M virt,usb=on", "-M virt,usb=on: machine property 'usb=on' is not available"},
    {"-M virt,accel=kvm", "invalid accelerator kvm"},
    {"-cpu foo", "unable to find CPU model 'foo'"},
    {"-cpu ,zba=on", "unable to find CPU model ''"},
    {"-cpu rv64,foo=on",
     "can't apply global rv64-riscv-cpu.foo=on: Property 'rv64-riscv-cpu.foo' not found"},
    {"-cpu rv64,zba=maybe", "can't apply global rv64-riscv-cpu.zba=maybe: "
                            "Parameter 'zba' expects 'on' or 'off'"},
    {"-cpu max,cbom_blocksize=x", "can't apply global max-riscv-cpu.cbom_blocksize=x: "
                                  "Parameter 'cbom_blocksize' expects integer"},
    {"-cpu rv64,v=on", "can't apply global rv64-riscv-cpu.v=on: 'v' is not available"},
    {"-cpu rv64,zba", "Expected key=value format, found zba."},
    {"-cpu rv64,+zba", "Expected key=value format, found +zba."},
    {"-m foo", "-m foo: Parameter 'size' expects a non-negative number below 2^64"},
    {"-m 12Q", "-m 12Q: Parameter 'size' expects a non-negative number below 2^64"},
    {"-m 512MiB", "-m 512MiB: Parameter 'size' expects a non-negative number below 2^64"},
    {"-m 1.5", "-m 1.5: Parameter 'size' expects a non-negative number below 2^64"},
    {"-m 0x100", "-m 0x100: Parameter 'size' expects a non-negative number below 2^64"},
    {"-m -5", "-m -5: Value '-5' is out of range for parameter 'size'"},
    {"-m 99999999999999G",
     "-m 99999999999999G: Value '99999999999999G' is out of range for parameter 'size'"},
    {"-m 18446744073709551615b",
     "-m 18446744073709551615b: Value '18446744073709551615b' "
     "is out of range for parameter 'size'"},
    {"-m 0", "-m 0: Parameter 'size' expects a size above 0"},
    {"-m size=0G", "-m size=0G: Parameter 'size' expects a size above 0"},
    {"-m 1G,foo=2", "-m 1G,foo=2: Invalid parameter 'foo'"},
    {"-m 1G,slots=2", "slots specified but no max-size"},
    {"-m 4G,maxmem=2G",
     "invalid value of maxmem: maximum memory size (0x80000000) must be "
     "at least the initial memory size (0x100000000)"},
    {"-smp 0", "Invalid CPU topology: CPU topology parameters must be greater than zero"},
    {"-smp 2,cores=0",
     "Invalid CPU topology: CPU topology parameters must be greater than zero"},
    {"-M virt -smp 513",
     "Invalid SMP CPUs 513. The max CPUs supported by machine 'virt' is 512"},
    {"-M virt -smp 2,maxcpus=600",
     "Invalid SMP CPUs 600. The max CPUs supported by machine 'virt' is 512"},
    {"-M virt -smp 99999999999",
     "Invalid SMP CPUs 99999999999. The max CPUs supported by machine 'virt' is 512"},
    {"-M virt -smp 4294967295,sockets=4294967295,cores=4294967295",
     "Invalid SMP CPUs 4294967295. The max CPUs supported by machine 'virt' is 512"},
    {"-smp foo", "Parameter 'smp.cpus' expects integer"},
    {"-smp 4,foo=2", "Parameter 'smp.foo' is unexpected"},
    {"-smp 4,dies=2", "dies > 1 not supported by this machine's CPU topology"},
    {"-smp 4,maxcpus=2",
     "Invalid CPU topology: maxcpus must be equal to or greater than smp: sockets (1) * "
     "cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)"},
    {"-smp 4,sockets=2,cores=1,threads=1",
     "Invalid CPU topology: product of the hierarchy must match maxcpus: sockets (2) * "
     "cores (1) * threads (1) != maxcpus (4)"},
    {"-smp 3,sockets=2",
     "Invalid CPU topology: product of the hierarchy must match maxcpus: sockets (2) * "
     "cores (1) * threads (1) != maxcpus (3)"},
    {"-append a", "-append only allowed with -kernel option"},
    {"-initrd i", "-initrd only allowed with -kernel option"},
    {"-drive foo=bar,file=d,format=raw", "-drive foo=bar,file=d,format=raw: Block format "
                                         "'raw' does not support the option 'foo'"},
    {"-drive file=d,format=qcow2", "-drive file=d,format=qcow2: Unknown driver 'qcow2'"},
    {"-drive file=d,format=raw,if=foo",
     "-drive file=d,format=raw,if=foo: unsupported bus type 'foo'"},
    {"-drive file=d,format=raw,if=ide",
     "-drive file=d,format=raw,if=ide: machine type does not support if=ide"},
    {"-drive file=d,format=raw,if=pflash",
     "-drive file=d,format=raw,if=pflash: machine type does not support if=pflash"},
    {"-drive file=d,format=raw,cache=foo",
     "-drive file=d,format=raw,cache=foo: invalid cache option"},
    {"-drive file=d,format=raw,aio=foo",
     "-drive file=d,format=raw,aio=foo: invalid aio option"},
    {"-drive file=d,format=raw,readonly=foo",
     "-drive file=d,format=raw,readonly=foo: "
     "Parameter 'read-only' expects 'on' or 'off'"},
    {"-drive file=d,format=raw,snapshot=foo",
     "-drive file=d,format=raw,snapshot=foo: "
     "Parameter 'snapshot' expects 'on' or 'off'"},
    {"-drive file=d,format=raw,media=foo",
     "-drive file=d,format=raw,media=foo: 'foo' invalid media"},
    {"-drive file=d,format=raw,discard=foo",
     "-drive file=d,format=raw,discard=foo: Invalid discard option"},
    {"-drive file=d,format=raw,index=foo",
     "-drive file=d,format=raw,index=foo: Parameter 'index' expects a number"},
    {"-drive file=d,format=raw,unit=1,index=0",
     "-drive file=d,format=raw,unit=1,index=0: index cannot be used with bus and unit"},
    {"-drive file=d,format=raw,id=9x",
     "-drive file=d,format=raw,id=9x: Parameter 'id' expects an identifier"},
    {"-drive format=raw,if=none,id=x",
     "-drive format=raw,if=none,id=x: A block device must be specified for \"file\""},
    {"-drive file=d,format=raw,id=x -drive file=e,format=raw,id=x",
     "-drive file=e,format=raw,id=x: Duplicate ID 'x' for drive"},
    {"-drive file=d,if=virtio,index=0,format=raw -drive "
     "file=e,if=virtio,index=0,format=raw",
     "-drive file=e,if=virtio,index=0,format=raw: drive with bus=0, unit=0 (index=0) "
     "exists"},
    {"-device foo", "-device foo: 'foo' is not a valid device model name"},
    {"-device virtio-net-device,netdev=n",
     "-device virtio-net-device,netdev=n: 'virtio-net-device' is not a valid device "
     "model "
     "name"},
    {"-device ''", "-device : Parameter 'driver' is missing"},
    {"-device id=x", "-device id=x: Parameter 'driver' is missing"},
    {"-device virtio-blk-device", "-device virtio-blk-device: drive property not set"},
    {"-device virtio-blk-device,drive=y",
     "-device virtio-blk-device,drive=y: Property "
     "'virtio-blk-device.drive' can't find value 'y'"},
    {"-device virtio-blk-device,foo=1",
     "-device virtio-blk-device,foo=1: Property 'virtio-blk-device.foo' not found"},
    {"-device virtio-blk-device,packed=on",
     "-device virtio-blk-device,packed=on: Property "
     "'virtio-blk-device.packed=on' is not available"},
    {"-device virtio-rng-device,bus=virtio-mmio-bus.8",
     "-device virtio-rng-device,bus=virtio-mmio-bus.8: Bus 'virtio-mmio-bus.8' not "
     "found"},
    {"-device virtio-rng-device,bus=foo",
     "-device virtio-rng-device,bus=foo: Bus 'foo' not found"},
    {"-drive file=d,format=raw,id=x -device virtio-blk-device,drive=x "
     "-device virtio-blk-device,drive=x",
     "-device virtio-blk-device,drive=x: Drive 'x' is already in use by another device"},
    {"-drive file=d,format=raw,id=x,if=virtio -device virtio-blk-device,drive=x",
     "-device virtio-blk-device,drive=x: Drive 'x' is already in use by another device"},
    {"-device virtio-rng-device,rng=r",
     "-device virtio-rng-device,rng=r: Device 'r' not found"},
    {"-device virtio-rng-device,id=a -device virtio-rng-device,id=a",
     "-device virtio-rng-device,id=a: Duplicate ID 'a' for device"},
    {"-device virtio-rng-device,id=9",
     "-device virtio-rng-device,id=9: Parameter 'id' expects an identifier"},
    {"-device virtio-rng-device,max-bytes=x",
     "-device virtio-rng-device,max-bytes=x: Parameter 'max-bytes' expects integer"},
    {"-device loader", "-device loader: please include valid arguments"},
    {"-device loader,addr=0x1000",
     "-device loader,addr=0x1000: cpu_num must be specified "
     "when setting a program counter"},
    {"-device loader,addr=0,data=1",
     "-device loader,addr=0,data=1: Both data and data-len must be specified"},
    {"-device loader,addr=0,data=1,data-len=16",
     "-device loader,addr=0,data=1,data-len=16: data-len cannot be greater then 8 bytes"},
    {"-device loader,file=f,data=1,data-len=4",
     "-device loader,file=f,data=1,data-len=4: Specifying a file is not supported when "
     "loading memory values"},
    {"-device loader,file=f,addr=foo",
     "-device loader,file=f,addr=foo: Parameter 'addr' expects integer"},
    {"-device loader,file=f,cpu-num=0",
     "-device loader,file=f,cpu-num=0: Property 'loader.cpu-num' not found"},
    {"-object foo,id=a",
     "-object foo,id=a: Parameter 'qom-type' does not accept value 'foo'"},
    {"-object rng-random", "-object rng-random: Parameter 'id' is missing"},
    {"-object rng-random,id=a,foo=1",
     "-object rng-random,id=a,foo=1: Invalid parameter 'foo'"},
    {"-object rng-builtin,id=a,filename=f",
     "-object rng-builtin,id=a,filename=f: Invalid parameter 'filename'"},
    {"-object rng-random,id=a,filename=/nowhere/rng",
     "Could not open '/nowhere/rng': No such file or directory"},
    {"-object rng-random,id=a -object rng-random,id=a",
     "-object rng-random,id=a: Duplicate ID 'a' for object"},
    {"-global foo", "-global foo: Invalid parameter 'foo'"},
    {"-global virtio-mmio.foo=1", "can't apply global virtio-mmio.foo=1: "
                                  "Property 'virtio-mmio.foo' not found"},
    {"-global virtio-mmio.force-legacy=foo",
     "can't apply global virtio-mmio.force-legacy=foo: "
     "Parameter 'force-legacy' expects 'on' or 'off'"},
    {"-serial foo", "-serial foo: 'foo' is not a valid char driver"},
    {"-serial pty", "-serial pty: char driver 'pty' is not available"},
    {"-serial tcp::1,server", "-serial tcp::1,server: char driver 'tcp::1,server' is not "
                              "available"},
    {"-serial chardev:foo", "-serial chardev:foo: could not connect serial device to "
                            "character backend 'chardev:foo'"},
    {"-serial stdio -serial mon:stdio",
     "-serial mon:stdio: cannot use stdio by multiple character devices"},
    {"-chardev stdio,id=a -serial stdio",
     "-serial stdio: cannot use stdio by multiple character devices"},
    {"-chardev stdio", "-chardev stdio: chardev: no id specified"},
    {"-chardev id=a", "-chardev id=a: chardev: \"a\" missing backend"},
    {"-chardev foo,id=a", "-chardev foo,id=a: 'foo' is not a valid char driver name"},
    {"-chardev socket,id=a,path=s",
     "-chardev socket,id=a,path=s: char driver 'socket' is not available"},
    {"-chardev file,id=a", "-chardev file,id=a: chardev: file: no filename given"},
    {"-chardev file,id=a,foo=1,path=x",
     "-chardev file,id=a,foo=1,path=x: Invalid parameter 'foo'"},
    {"-chardev null,id=a -chardev null,id=a",
     "-chardev null,id=a: Duplicate ID 'a' for chardev"},
    {"-mon chardev=foo", "-mon chardev=foo: chardev \"foo\" not found"},
    {"-chardev stdio,id=c,mux=on -mon chardev=c,mode=control",
     "-mon chardev=c,mode=control: the monitor is not available"},
    {"-monitor stdio", "-monitor stdio: the monitor is not available"},
    {"-qmp unix:s", "-qmp unix:s: the monitor is not available"},
    {"-echr 0", "-echr 0: expects the code of a key, 1 to 255"},
    {"-accel kvm", "-accel kvm: invalid accelerator kvm"},
    {"-accel kvm -accel foo", "-accel foo: invalid accelerator foo"},
    {"-accel tcg,thread=foo", "-accel tcg,thread=foo: Invalid 'thread' setting foo"},
    {"-accel tcg,tlb-check=on", "-accel tcg,tlb-check=on: Invalid 'tlb-check' setting on"},
    {"-accel tcg,lrsc=on", "-accel tcg,lrsc=on: Invalid 'lrsc' setting on"},
    {"-accel tcg,code-check=", "-accel tcg,code-check=: Invalid 'code-check' setting "},
    {"-accel tcg,tlb-check-sample=0",
     "-accel tcg,tlb-check-sample=0: Invalid 'tlb-check-sample' setting 0"},
    {"-accel tcg,tlb-check-sample=4294967296",
     "-accel tcg,tlb-check-sample=4294967296: "
     "Invalid 'tlb-check-sample' setting 4294967296"},
    {"-accel tcg,tlb-check-sample=x",
     "-accel tcg,tlb-check-sample=x: Parameter 'tlb-check-sample' expects integer"},
    {"-accel tcg,tlb-check-suspect=maybe", "-accel tcg,tlb-check-suspect=maybe: "
     "Parameter 'tlb-check-suspect' expects 'on' or 'off'"},
    {"-accel tcg,tlb-stale=2",
     "-accel tcg,tlb-stale=2: Parameter 'tlb-stale' expects 'on' or 'off'"},
    {"-accel tcg,foo=1", "-accel tcg,foo=1: Property 'tcg-accel.foo' not found"},
    {"-rtc foo=foo", "-rtc foo=foo: Invalid parameter 'foo'"},
    {"-rtc base=localtime", "-rtc base=localtime: only base=utc is available"},
    {"-rtc clock=foo", "-rtc clock=foo: invalid option value 'foo'"},
    {"-net foo", "-net foo: Parameter 'type' does not accept value 'foo'"},
    {"-nic user", "-nic user: network 'user' is not available"},
    {"-display gtk", "-display gtk: Display 'gtk' is not available"},
    {"-display foo", "-display foo: Parameter 'type' does not accept value 'foo'"},
    {"-vga std", "-vga std: unknown vga type: std"},
    {"-d in_asm,cpu", "-d in_asm,cpu: log item 'cpu' is not available"},
    {"-accel tcg,jit=maybe", "-accel tcg,jit=maybe: Parameter 'jit' expects 'on' or 'off'"},
    {"-accel tcg,jit-dead=1",
     "-accel tcg,jit-dead=1: Parameter 'jit-dead' expects 'on' or 'off'"},
    {"-accel tcg,tb-size=x", "-accel tcg,tb-size=x: Parameter 'tb-size' expects integer"},
    {"-accel tcg,jit-seed=4294967296",
     "-accel tcg,jit-seed=4294967296: Invalid 'jit-seed' setting 4294967296"},
    {"-accel tcg,jit-gdb=2",
     "-accel tcg,jit-gdb=2: Parameter 'jit-gdb' expects 'on' or 'off'"},
    {"-accel tcg,jit-heat=", "-accel tcg,jit-heat=: Parameter 'jit-heat' expects integer"},
    {"-accel tcg,jit-foo=on",
     "-accel tcg,jit-foo=on: Property 'tcg-accel.jit-foo' not found"},
    {"-uuid foo", "-uuid foo: failed to parse UUID string: wrong format"},
};

static void names_every_culprit(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_ARRAY_LEN(refused); i++) {
        struct outcome outcome = parse(refused[i].line);

        if (!outcome.result)
            fail_msg("%s\n  is accepted", refused[i].line);
        assert_int_equal(outcome.result, -EINVAL);
        if (strcmp(outcome.error, refused[i].error) != 0)
            fail_msg("%s\n  says:   %s\n  should: %s", refused[i].line, outcome.error,
                     refused[i].error);
        finish(&outcome);
    }
}

/* Command lines of projects, as far as what they ask for exists. */
static void accepts_scripts(void **state)
{
    static const struct {
        const char *line, *config;
    } scripts[] = {
        /* xv6-riscv */
        {"-machine virt -bios none -kernel kernel/kernel -m 128M -smp 3 -nographic "
         "-global virtio-mmio.force-legacy=false "
         "-drive file=fs.img,if=none,format=raw,id=x0 "
         "-device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0",
         "virt smp=3 bios=none kernel=kernel/kernel modern drive(x0 fs.img) "
         "blk(0 drive=x0) serial(stdio mux)"},
        /* kvm-unit-tests */
        {"-nodefaults -nographic -serial mon:stdio -machine virt -accel tcg -cpu rv64 "
         "-kernel t.flat -smp 2 -append 'a b' -initrd /tmp/tmp.X",
         "virt smp=2 kernel=t.flat initrd=/tmp/tmp.X append=a b serial(stdio mux)"},
        /* Linux kunit */
        {"-nodefaults -m 1024 -kernel arch/riscv/boot/Image "
         "-append 'console=ttyS0 kunit_shutdown=reboot' -no-reboot -nographic -accel kvm "
         "-accel hvf -accel tcg -serial stdio -machine virt -cpu rv64 "
         "-bios /usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin",
         "virt m=1073741824 bios=/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin "
         "kernel=arch/riscv/boot/Image append=console=ttyS0 kunit_shutdown=reboot "
         "no_reboot "
         "serial(stdio signals)"},
        /* tuxrun */
        {"-machine virt -cpu rv64 -m 4G -smp 2 -drive file=R,format=raw,id=hd0 "
         "-device virtio-blk-device,drive=hd0 -nographic",
         "virt m=4294967296 smp=2 drive(hd0 R) blk( drive=hd0) serial(stdio mux)"},
        /* the shape of the kernel's vmtest.sh */
        {"-M virt -nodefaults -display none -serial mon:stdio -m 4G "
         "-drive file=R,format=raw,index=1,media=disk,if=virtio,cache=none -kernel K "
         "-append 'root=/dev/vda rw'",
         "virt m=4294967296 kernel=K append=root=/dev/vda rw drive(#virtio0 R direct) "
         "blk( drive=#virtio0) serial(stdio mux)"},
        /* U-Boot */
        {"-nographic -machine virt -bios u-boot.bin",
         "virt bios=u-boot.bin serial(stdio mux)"},
        {"-nographic -machine virt -bios spl/u-boot-spl.bin "
         "-device loader,file=u-boot.itb,addr=0x80200000",
         "virt bios=spl/u-boot-spl.bin loader( file=u-boot.itb addr=0x80200000) "
         "serial(stdio mux)"},
        /* OpenSBI */
        {"-M virt -m 256M -display none -serial stdio -kernel fw_payload.elf",
         "virt m=268435456 kernel=fw_payload.elf serial(stdio signals)"},
        {"-M virt -m 256M -display none -serial stdio -kernel fw_jump.elf "
         "-device loader,file=Image,addr=0x80400000 -drive file=R,format=raw,id=hd0 "
         "-device virtio-blk-device,drive=hd0 -append 'root=/dev/vda rw console=ttyS0'",
         "virt m=268435456 kernel=fw_jump.elf append=root=/dev/vda rw console=ttyS0 "
         "drive(hd0 R) loader( file=Image addr=0x80400000) blk( drive=hd0) "
         "serial(stdio signals)"},
        /* seL4 */
        {"-machine virt,dumpdtb=qemu-riscv-virt.dtb -cpu rv64 -smp 1 -m 3072 -nographic "
         "-bios none",
         "virt m=3221225472 bios=none dumpdtb=qemu-riscv-virt.dtb serial(stdio mux)"},
        {"-machine virt -cpu rv64 -nographic -m size=3072 -bios none -kernel images/x",
         "virt m=3221225472 bios=none kernel=images/x serial(stdio mux)"},
        /* Zephyr */
        {"-nographic -machine virt -bios none -m 256 -cpu rv64,pmp=on,u=on "
         "-pidfile qemu.pid -serial mon:stdio -smp cpus=2 -kernel zephyr.elf",
         "virt m=268435456 smp=2 bios=none kernel=zephyr.elf pidfile=qemu.pid "
         "serial(stdio mux)"},
        /* FreeRTOS, without the debugger */
        {"-nographic -machine virt -net none -chardev stdio,id=con,mux=on "
         "-serial chardev:con -mon chardev=con,mode=readline -bios none -smp 4 "
         "--kernel RTOSDemo.elf",
         "virt smp=4 bios=none kernel=RTOSDemo.elf serial(stdio mux signals)"},
        /* OS contests, without the network */
        {"-machine virt -kernel K -m 1G -nographic -smp 1 -bios default "
         "-drive file=sdcard-rv.img,if=none,format=raw,id=x0 "
         "-device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0 -no-reboot -rtc "
         "base=utc",
         "virt m=1073741824 bios=default kernel=K no_reboot drive(x0 sdcard-rv.img) "
         "blk(0 drive=x0) serial(stdio mux)"},
        /* syzkaller, without the network */
        {"-machine virt -nographic -bios fw_jump.bin -kernel Image "
         "-append 'root=/dev/vda ro console=ttyS0' "
         "-object rng-random,filename=/dev/urandom,id=rng0 "
         "-device virtio-rng-device,rng=rng0 "
         "-drive file=rootfs.ext2,if=none,format=raw,id=hd0 "
         "-device virtio-blk-device,drive=hd0",
         "virt bios=fw_jump.bin kernel=Image append=root=/dev/vda ro console=ttyS0 "
         "drive(hd0 rootfs.ext2) rng( rng=/dev/urandom) blk( drive=hd0) "
         "serial(stdio mux)"},
        /* nothing said: no window either */
        {"-M virt -kernel K", "virt kernel=K serial(stdio mux)"},
    };

    (void)state;
    for (size_t i = 0; i < SM_ARRAY_LEN(scripts); i++) {
        struct outcome outcome = parse(scripts[i].line);
        char *text;

        if (outcome.result)
            fail_msg("%s\n  gives: %s", scripts[i].line, outcome.error);
        text = describe(&outcome.config);
        if (strcmp(text, scripts[i].config) != 0)
            fail_msg("%s\n  is:     %s\n  should: %s", scripts[i].line, text,
                     scripts[i].config);
        g_free(text);
        finish(&outcome);
    }
}

static void hands_properties_to_the_hart(void **state)
{
    struct outcome outcome = parse("-cpu rv64,zba=off,zicond=true,pmp=off");

    (void)state;
    assert_int_equal(outcome.result, 0);
    assert_false(rv_isa_has(&outcome.config.isa, RV_EXT_ZBA));
    assert_true(rv_isa_has(&outcome.config.isa, RV_EXT_ZICOND));
    assert_true(rv_isa_has(&outcome.config.isa, RV_EXT_ZBB));
    finish(&outcome);
}

/* What scripts look for in what is printed. */
static void prints_for_probes(void **state)
{
    static const struct {
        const char *program, *line, *contains;
    } probes[] = {
        {"softmmu-system-riscv64", "-version", "softmmu-system-riscv64 version 0.1.0\n"},
        {"qemu-system-riscv64", "--version",
         "QEMU emulator version 9.2.4 (softmmu 0.1.0)\n"},
        {"/opt/bin/qemu-system-riscv64", "-help",
         "QEMU emulator version 9.2.4 (softmmu 0.1.0)\nusage: qemu-system-riscv64"},
        {"softmmu-system-riscv64", "-h", "QEMU"},
        {"softmmu-system-riscv64", "-M help", "Supported machines are:\n"},
        {"softmmu-system-riscv64", "-M help",
         "\nvirt                 RISC-V VirtIO board"},
        {"softmmu-system-riscv64", "-machine '?'",
         "\nspike                RISC-V Spike board"},
        {"softmmu-system-riscv64", "-cpu help", "\n  rv64\n"},
        {"softmmu-system-riscv64", "-cpu '?'", "\n  max\n"},
        {"softmmu-system-riscv64", "-device help", "name \"virtio-blk-device\""},
        {"softmmu-system-riscv64", "-device virtio-blk-device,help", "  serial=<str>\n"},
        {"softmmu-system-riscv64", "-accel help", "\ntcg\n"},
        {"softmmu-system-riscv64", "-d help", "Log items (comma separated):\nout_asm "},
        {"softmmu-system-riscv64", "-d help", "\nnochain         do not link"},
        /* What follows is not looked at. */
        {"softmmu-system-riscv64", "-M virt -version -foo", "version 0.1.0\n"},
    };
    struct outcome help;

    (void)state;
    for (size_t i = 0; i < SM_ARRAY_LEN(probes); i++) {
        struct outcome outcome = parse_as(probes[i].program, probes[i].line);

        assert_int_equal(outcome.result, 0);
        assert_int_equal(outcome.action, OPTIONS_EXIT);
        if (!strstr(printed->str, probes[i].contains))
            fail_msg("%s prints\n%s", probes[i].line, printed->str);
        finish(&outcome);
    }
    /* xv6 greps for '^-gdb'. */
    help = parse("-help");
    assert_null(strstr(printed->str, "\n-gdb"));
    finish(&help);
}

/* Notes begin with "PROGRAM: ...warning": kvm-unit-tests takes all else for failures. */
static void warns(void **state)
{
    static const struct {
        const char *line, *warning;
    } lines[] = {
        {"-M virt", ""},
        {"-accel kvm -accel tcg",
         "softmmu-system-riscv64: -accel kvm: warning: invalid accelerator kvm, "
         "falling back\n"},
        {"-M virt,accel=kvm:tcg", "softmmu-system-riscv64: warning: invalid accelerator "
                                  "kvm, falling back to tcg\n"},
        {"-global foo.bar=1",
         "softmmu-system-riscv64: -global foo.bar=1: warning: global "
         "foo.bar has invalid class name\n"},
        {"-drive file=d,format=raw",
         "softmmu-system-riscv64: -drive file=d,format=raw: "
         "warning: no device uses this drive; if=virtio makes "
         "one\n"},
    };

    (void)state;
    for (size_t i = 0; i < SM_ARRAY_LEN(lines); i++) {
        struct outcome outcome = parse(lines[i].line);

        assert_int_equal(outcome.result, 0);
        assert_string_equal(warned->str, lines[i].warning);
        finish(&outcome);
    }
}

/* Without format= an image is raw, unless it plainly is something else. */
static void probes_the_format(void **state)
{
    char *name = NULL, *line, *expected;
    const int fd = g_file_open_tmp("options.XXXXXX", &name, NULL);
    struct outcome outcome;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "QFI\xfb 234", 8), 8);
    line = g_strdup_printf("-drive file=%s,id=x,if=none", name);
    expected = g_strdup_printf("%s: Unknown driver 'qcow2'", line);
    outcome = parse(line);
    assert_int_equal(outcome.result, -EINVAL);
    assert_string_equal(outcome.error, expected);
    finish(&outcome);
    assert_int_equal(pwrite(fd, "raw", 3, 0), 3);
    outcome = parse(line);
    assert_int_equal(outcome.result, 0);
    assert_non_null(strstr(warned->str, "warning: Image format was not specified"));
    finish(&outcome);
    close(fd);
    unlink(name);
    g_free(expected);
    g_free(line);
    g_free(name);
}

static void parses_memory_alone(void **state)
{
    char *error = NULL;
    uint64_t bytes = 0;

    (void)state;
    assert_int_equal(options_parse_memory("size=3G,slots=1,maxmem=4G", &bytes, &error),
                     0);
    assert_int_equal(bytes, UINT64_C(3) << 30);
    assert_int_equal(options_parse_memory("x", &bytes, &error), -EINVAL);
    assert_string_equal(error,
                        "Parameter 'size' expects a non-negative number below 2^64");
    assert_int_equal(bytes, UINT64_C(3) << 30);
    g_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_every_spelling),
        cmocka_unit_test(names_every_culprit),
        cmocka_unit_test(accepts_scripts),
        cmocka_unit_test(hands_properties_to_the_hart),
        cmocka_unit_test(prints_for_probes),
        cmocka_unit_test(warns),
        cmocka_unit_test(probes_the_format),
        cmocka_unit_test(parses_memory_alone),
    };

    printed = g_string_new(NULL);
    warned = g_string_new(NULL);
    g_set_print_handler(on_print);
    g_set_printerr_handler(on_warn);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
